// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/conversation.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/packet/tcp_options.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds answer_patience{400}, round_trip{40}, a_moment{30};
constexpr std::uint16_t least_window = 1024; // a SYN may have less, later segments may not
constexpr milliseconds longest_response{5000};
constexpr std::size_t request_bytes = 300, long_request_bytes = 5000, response_bytes = 40000;

std::string text_of_flags(std::uint8_t flags) {
  constexpr std::string_view names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
  std::string text;
  for (std::size_t bit = 0; bit < std::size(names); bit++)
    if (flags & 1 << bit)
      text += (text.empty() ? "" : " ") + std::string{names[bit]};
  return text;
}

// Walks options: `each` gets kind, place and length.
template <typename Each> void walk_options(const Bytes& options, const Each& each) {
  for (std::size_t at = 0; at < options.size() && options[at] != 0;) {
    if (options[at] == 1) {
      at++;
      continue;
    }
    const std::size_t length = at + 1 < options.size() ? options[at + 1] : 0;
    if (length < 2 || at + length > options.size())
      return;
    each(options[at], at, length);
    at += length;
  }
}

std::uint32_t word_at(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 |
         static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | bytes[at + 3];
}

class Conversation {
public:
  explicit Conversation(const Talk& talk) : talk_(talk), stamp_(talk.shape->stamp) {}
  Fields play();

private:
  void note(std::string_view field, const std::string& value) {
    fields_[std::string{field}] = value;
  }
  void note_frame(std::string_view of, const Seen& seen);
  void note_syn_ack(const Seen& seen);
  void note_facts(std::string_view of, bool fresh);
  Segment segment_of(std::uint8_t flags, const Bytes& payload = {});
  bool send(std::uint8_t flags, const Bytes& payload = {});
  std::size_t request(std::size_t bytes);
  bool open();
  bool accept_within(milliseconds within);
  void hear_request(std::size_t bytes);
  void respond(std::size_t bytes, bool ends);
  void receive_response();
  void close();

  const Talk& talk_;
  Fields fields_;
  Fd connection_;
  std::uint32_t seq_ = 1'000'000, ack_ = 0, stamp_, echo_ = 0;
  std::size_t segment_bytes_ = 536;
  bool stamps_ = false, finished_ = false;
};

void Conversation::note_frame(std::string_view of, const Seen& seen) {
  const auto name = [&](std::string_view field) { return fmt::format("{}: {}", of, field); };
  note(name("TTL"), std::to_string(seen.hop_limit));
  note(name("DSCP and ECN"), std::to_string(seen.traffic_class));
  note(name("may be fragmented"), seen.fragments ? "yes" : "no");
  note(name("VLAN tag"), seen.vlan < 0 ? "none" : std::to_string(seen.vlan));
  if (seen.outer_vlan >= 0)
    note(name("outer VLAN tag"), std::to_string(seen.outer_vlan));
  note(name("next hop"), fmt::format("{:02x}", fmt::join(seen.destination, ":")));
  note(name("from"), fmt::format("{:02x}", fmt::join(seen.source, ":")));
  note(name("flags"), text_of_flags(seen.flags));
}

void Conversation::note_syn_ack(const Seen& seen) {
  Bytes options = seen.options;
  note("SYN-ACK: window", std::to_string(seen.window));
  note("SYN-ACK: MSS", "none");
  note("SYN-ACK: window scale", "none");
  note("SYN-ACK: SACK", "no");
  note("SYN-ACK: timestamps", "no");
  walk_options(seen.options, [&](std::uint8_t kind, std::size_t at, std::size_t length) {
    if (kind == 2 && length == 4) {
      segment_bytes_ = static_cast<std::size_t>(options[at + 2] << 8 | options[at + 3]);
      note("SYN-ACK: MSS", std::to_string(segment_bytes_));
    } else if (kind == 3 && length == 3) {
      note("SYN-ACK: window scale", std::to_string(options[at + 2]));
    } else if (kind == 4) {
      note("SYN-ACK: SACK", "yes");
    } else if (kind == 8 && length == 10) {
      note("SYN-ACK: timestamps", word_at(options, at + 6) == stamp_ ? "yes" : "with a wrong echo");
      stamps_ = true;
      echo_ = word_at(options, at + 2);
      std::fill_n(options.begin() + static_cast<std::ptrdiff_t>(at + 2), 8, 0);
    }
  });
  note("SYN-ACK: options", fmt::format("{:02x}", fmt::join(options, " ")));
}

Segment Conversation::segment_of(std::uint8_t flags, const Bytes& payload) {
  Segment segment = {.from = talk_.client,
                     .to = talk_.server,
                     .seq = seq_,
                     .ack = flags & tcp_ack ? ack_ : 0,
                     .flags = flags,
                     .window = (flags & tcp_syn) || talk_.shape->window >= least_window
                                   ? talk_.shape->window
                                   : usual_window,
                     .payload = payload};
  segment.ip.hop_limit = talk_.shape->hop_limit;
  if (flags & tcp_syn) {
    segment.options = talk_.shape->options(stamp_);
    segment.flags |= talk_.shape->ecn | talk_.shape->flags;
  } else if (stamps_) {
    segment.options = TcpOptions().nop(2).timestamps(++stamp_, echo_).bytes();
  }
  return segment;
}

bool Conversation::send(std::uint8_t flags, const Bytes& payload) {
  return static_cast<bool>(talk_.wire->send(segment_of(flags, payload), talk_.shape->traffic_class,
                                            (flags & tcp_syn) && talk_.shape->accurate_ecn));
}

bool Conversation::open() {
  if (!send(tcp_syn)) {
    note("answer", "the SYN could not be sent");
    return false;
  }
  const auto seen = talk_.wire->next(talk_.server, talk_.client, answer_patience);
  if (!seen) {
    note("answer", "silence");
    return false;
  }
  const bool accepts = (seen->flags & (tcp_syn | tcp_ack | tcp_rst)) == (tcp_syn | tcp_ack);
  note("answer", accepts ? "SYN-ACK" : "RST");
  note_frame(accepts ? "SYN-ACK" : "RST", *seen);
  note("acknowledges", seen->ack == seq_ + 1 ? "the SYN" : "something else");
  if (!accepts)
    return false;
  note_syn_ack(*seen);
  seq_++;
  ack_ = seen->seq + 1;
  return true;
}

// Earlier clients may be in front of it in the queue, and any of the listeners may have got it.
bool Conversation::accept_within(milliseconds within) {
  std::vector<pollfd> waiting;
  for (const int listener : talk_.listeners)
    waiting.push_back({listener, POLLIN, 0});
  const auto end = std::chrono::steady_clock::now() + within;
  while (!connection_) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0 ||
        poll(waiting.data(), waiting.size(), static_cast<int>(left.count())) <= 0)
      return false;
    for (const pollfd& each : waiting) {
      sockaddr_in6 name{}; // sockaddr_in has the port in the same place
      socklen_t length = sizeof name;
      Fd got{each.revents & POLLIN ? accept4(each.fd, reinterpret_cast<sockaddr*>(&name), &length,
                                             SOCK_CLOEXEC | SOCK_NONBLOCK)
                                   : -1};
      if (got && ntohs(name.sin6_port) == talk_.client.port)
        connection_ = std::move(got);
    }
  }
  return true;
}

void Conversation::note_facts(std::string_view of, bool fresh) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (!connection_ || getsockopt(connection_.get(), IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
    return;
  const auto name = [&](std::string_view field) { return fmt::format("{}: {}", of, field); };
  note(name("timestamps"), info.tcpi_options & TCPI_OPT_TIMESTAMPS ? "yes" : "no");
  note(name("SACK"), info.tcpi_options & TCPI_OPT_SACK ? "yes" : "no");
  note(name("ECN"), info.tcpi_options & TCPI_OPT_ECN ? "yes" : "no");
  note(name("the client's scale"), std::to_string(info.tcpi_snd_wscale));
  note(name("its own scale"), std::to_string(info.tcpi_rcv_wscale));
  note(name("largest segment"), std::to_string(info.tcpi_snd_mss));
  note(name("MSS it says"), std::to_string(info.tcpi_advmss));
  note(name("first window of segments"), std::to_string(info.tcpi_snd_cwnd));
  if (fresh)
    note(name("round trip, us"),
         info.tcpi_min_rtt == UINT32_MAX ? "not known" : std::to_string(info.tcpi_min_rtt));
  char congestion[16] = {};
  length = sizeof congestion;
  if (getsockopt(connection_.get(), IPPROTO_TCP, TCP_CONGESTION, congestion, &length) == 0)
    note(name("congestion control"), congestion);
}

void Conversation::hear_request(std::size_t bytes) {
  std::size_t heard = 0;
  Bytes buffer(bytes + 1);
  const auto end = std::chrono::steady_clock::now() + answer_patience;
  while (connection_ && heard < bytes && std::chrono::steady_clock::now() < end) {
    pollfd waiting{connection_.get(), POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(answer_patience.count())) != 1)
      break;
    const ssize_t got = recv(connection_.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0)
      break;
    heard += static_cast<std::size_t>(got);
  }
  note("request", fmt::format("{} of {} bytes arrive", heard, bytes));
}

void Conversation::respond(std::size_t bytes, bool ends) {
  if (!connection_)
    return;
  const int room = 1 << 20;
  setsockopt(connection_.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  Bytes response(bytes);
  for (std::size_t i = 0; i < bytes; i++)
    response[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  (void)::send(connection_.get(), response.data(), response.size(), MSG_NOSIGNAL);
  if (ends)
    shutdown(connection_.get(), SHUT_WR);
}

// Acknowledges what comes in order until the server's FIN.
void Conversation::receive_response() {
  std::size_t received = 0;
  bool intact = true, first = true;
  const auto end = std::chrono::steady_clock::now() + longest_response;
  while (const auto seen = talk_.wire->next(talk_.server, talk_.client, answer_patience)) {
    if (seen->flags & tcp_rst) {
      note("end", "RST");
      break;
    }
    if (std::chrono::steady_clock::now() > end) {
      note("end", "none");
      break;
    }
    if (stamps_)
      walk_options(seen->options, [&](std::uint8_t kind, std::size_t at, std::size_t length) {
        if (kind == 8 && length == 10)
          echo_ = word_at(seen->options, at + 2);
      });
    const bool has_fin = seen->flags & tcp_fin;
    if (seen->payload.empty() && !has_fin)
      continue;
    if (seen->seq != ack_) {
      send(tcp_ack);
      continue;
    }
    if (first && !seen->payload.empty()) {
      Seen plain = *seen;
      plain.flags &= static_cast<std::uint8_t>(~(tcp_psh | tcp_fin));
      note_frame("data", plain);
      first = false;
    }
    for (const std::uint8_t byte : seen->payload) {
      intact = intact && byte == static_cast<std::uint8_t>(received * 7 + received / 251);
      received++;
    }
    ack_ += static_cast<std::uint32_t>(seen->payload.size()) + (has_fin ? 1 : 0);
    finished_ = has_fin;
    send(tcp_ack);
    if (has_fin) {
      note("end", "FIN");
      break;
    }
  }
  note("response", fmt::format("{} bytes{}", received, intact ? "" : ", damaged"));
}

void Conversation::close() {
  if (finished_ && talk_.course != Course::last_word)
    send(tcp_fin | tcp_ack);
  else if (!finished_)
    send(tcp_rst | tcp_ack);
  connection_.reset();
}

// Segments in one burst behind the handshake's ACK; 0: none, each is sent by itself.
std::size_t burst_of(Course course) {
  switch (course) {
  case Course::burst_of_one:
    return 1;
  case Course::burst_of_two:
    return 2;
  case Course::burst_of_ten:
    return 10;
  default:
    return 0;
  }
}

// Sends the request, of `bytes` or of as many segments as a burst has. Returns its length.
std::size_t Conversation::request(std::size_t bytes) {
  const std::size_t overhead = stamps_ ? 12 : 0;
  const std::size_t most = std::max<std::size_t>(
      std::min<std::size_t>(segment_bytes_, 1460) - overhead, std::size_t{100});
  const bool is_last = talk_.course == Course::last_word;
  const std::size_t burst = burst_of(talk_.course);
  std::vector<Segment> segments;
  if (burst != 0) {
    segments.push_back(segment_of(tcp_ack));
    bytes = most * (burst - 1) + request_bytes;
  }
  for (std::size_t at = 0; at < bytes; at += most) {
    const std::size_t part = std::min(most, bytes - at);
    const bool ends = at + part == bytes;
    segments.push_back(segment_of(
        static_cast<std::uint8_t>(tcp_ack | (ends ? tcp_psh : 0) | (ends && is_last ? tcp_fin : 0)),
        Bytes(part, 'r')));
    seq_ += static_cast<std::uint32_t>(part);
  }
  if (is_last)
    seq_++;
  if (burst != 0)
    (void)talk_.wire->send_burst(segments, talk_.shape->traffic_class);
  else
    for (const Segment& segment : segments)
      (void)talk_.wire->send(segment, talk_.shape->traffic_class);
  return bytes;
}

Fields Conversation::play() {
  if (!open())
    return fields_;
  std::this_thread::sleep_for(round_trip);
  const bool is_long = talk_.course == Course::long_request;
  if (talk_.course == Course::usual || talk_.course == Course::banner || is_long) {
    send(tcp_ack);
    note("accepted before data", accept_within(a_moment) ? "yes" : "no");
    note_facts("stack", true);
  }
  if (talk_.course == Course::banner) {
    respond(response_bytes, true);
    receive_response();
    close();
    return fields_;
  }
  const std::size_t bytes = request(is_long ? long_request_bytes : request_bytes);
  note("accepted", accept_within(answer_patience) ? "yes" : "no");
  note_facts("stack", false);
  hear_request(bytes);
  respond(response_bytes, true);
  if (connection_)
    receive_response();
  close();
  return fields_;
}

} // namespace

Fields converse(const Talk& talk) {
  return Conversation(talk).play();
}

} // namespace trap::lab
