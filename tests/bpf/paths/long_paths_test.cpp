// SPDX-License-Identifier: Apache-2.0
// First connects over long paths: the programs of client and server, between the socket of a model
// and a backend of a model, with a clock of the test's own. Round trips are above and below the
// times at which the socket repeats its SYN (1 s, 3 s, 7 s, ...), packets get lost or come twice,
// and the server's cookie changes on the way. Every connect ends established.
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

#include "client/maps.h"
#include "dataplane/packet.h"
#include "protocol/clock.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint32_t isn = 0x01020304, backend_seq = 5000, data_bytes = 4;
constexpr int local_port = 40000, resetting_port = 80, serving_port = 82, backend_port = 80;
constexpr int syn_times_ms[] = {0, 1000, 3000, 7000, 15000, 31000};
constexpr int patience_ms = 63000; // then connect() fails
constexpr int round_trips_ms[] = {300, 900, 1000, 1100, 2200, 3500};
constexpr std::uint32_t xdp_drop = 1, xdp_pass = 2, xdp_tx = 3;
constexpr int packets_lost = 10; // any of the first so many, and any two of them

// What goes wrong on the way.
struct Weather {
  int round_trip_ms;
  std::vector<int> lost{};            // by their number on the wire
  bool doubles = false;               // every packet comes twice
  std::optional<int> new_cookie_at{}; // ms: the server is in its next cookie window
};

struct Packet {
  enum class To { host, network };
  int due_ms;
  To to;
  Bytes frame;
};

enum class Ending { dials, connected, refused, reset };

const char* text_of(Ending ending) {
  constexpr const char* texts[] = {"dials", "connected", "refused", "reset"};
  return texts[static_cast<int>(ending)];
}

// Fields of a frame without VLAN tags.
struct Segment {
  const Bytes& frame;
  std::size_t tcp;

  Segment(const Bytes& bytes, int family) : frame(bytes), tcp(family == 4 ? 34 : 54) {}
  std::uint32_t number(std::size_t at, int size) const {
    std::uint32_t value = 0;
    for (int i = 0; i < size; i++)
      value = value << 8 | frame.at(tcp + at + static_cast<std::size_t>(i));
    return value;
  }
  std::uint32_t seq() const { return number(4, 4); }
  std::uint32_t ack() const { return number(8, 4); }
  std::uint32_t flags() const { return frame.at(tcp + 13); }
  bool has(std::uint32_t wanted) const { return (flags() & wanted) == wanted; }
};

class LongPaths : public testing::TestWithParam<std::tuple<int, bool>> {
protected:
  static void SetUpTestSuite() {
    enter_own_network();
    bring_loopback_up();
  }

  void SetUp() override {
    set_tcp_sysctl("tcp_syncookies", 2);
    client_ = &fresh_object(client_rig(), constants_);
    server_ = &fresh_object(server_rig(), constants_);
    auto settings = client_->get<trap_client_settings>("settings", std::uint32_t{0});
    settings.flags |= TRAP_CLIENT_WITHOUT_CONSENT; // the backend's part, not the path's
    client_->put("settings", std::uint32_t{0}, settings);
    if (serves())
      listener_.emplace(listen_on(family(), serving_port));
  }

  int family() const { return std::get<0>(GetParam()); }
  bool serves() const { return std::get<1>(GetParam()); }
  const char* service() const { return serves() ? "here" : "public"; }
  int service_port() const { return serves() ? serving_port : resetting_port; }

  // Plays one connect; the log is of what crossed the programs.
  Ending play(const Weather& weather) {
    weather_ = weather;
    for (const char* map :
         {"pending", "to_backend", "to_public", "redirects", "fallbacks", "origins"})
      client_->clear(map);
    server_rig().set_time(*server_, constants_, constants_.moment("now"));
    is_later_ = false;
    under_way_.clear();
    log_.clear();
    sent_ = 0;
    socket_ = Ending::dials;
    heard_ = false;
    for (const int at : syn_times_ms) {
      run_until(at);
      if (socket_ == Ending::dials)
        leave(segment("S", isn, 0, linux_options()));
    }
    run_until(patience_ms);
    return socket_;
  }

  // Has the peer that the socket is connected with sent something that reached it?
  bool heard() const { return heard_; }
  const std::string& log() const { return log_; }

private:
  static Json linux_options() { return Json::array({{{"linux", 1}}}); }

  Bytes segment(const char* flags, std::uint32_t seq, std::uint32_t ack,
                const Json& options = Json::array()) const {
    return build_packet({{"ip", {{"src", "client"}, {"dst", service()}}},
                         {"tcp",
                          {{"sport", local_port},
                           {"dport", service_port()},
                           {"seq", seq},
                           {"ack", ack},
                           {"flags", flags},
                           {"options", options}}}},
                        family(), constants_);
  }

  Bytes answer(const char* from, int port, const char* flags, std::uint32_t seq, std::uint32_t ack,
               const Json& options, int payload) const {
    return build_packet({{"ip", {{"src", from}, {"dst", "client"}}},
                         {"tcp",
                          {{"sport", port},
                           {"dport", local_port},
                           {"seq", seq},
                           {"ack", ack},
                           {"flags", flags},
                           {"options", options}}},
                         {"payload", payload}},
                        family(), constants_);
  }

  void note(const std::string& line) { log_ += std::to_string(now_ms_) + " ms: " + line + "\n"; }

  // Puts a packet on the wire.
  void send(Packet::To to, const Bytes& frame) {
    const int number = sent_++;
    if (std::ranges::find(weather_.lost, number) != weather_.lost.end()) {
      note("packet " + std::to_string(number) + " is lost");
      return;
    }
    for (int i = 0; i <= (weather_.doubles ? 1 : 0); i++)
      under_way_.push_back({now_ms_ + weather_.round_trip_ms / 2, to, frame});
  }

  void leave(const Bytes& frame) {
    const Outcome out = client_->run("trap_client_egress", frame);
    note("the socket sends " + std::to_string(Segment(frame, family()).flags()));
    if (out.action != static_cast<std::uint32_t>(TC_ACT_SHOT))
      send(Packet::To::network, out.frame);
  }

  void run_until(int time_ms) {
    while (!under_way_.empty() && under_way_.front().due_ms <= time_ms) {
      const Packet packet = under_way_.front();
      under_way_.pop_front();
      now_ms_ = packet.due_ms;
      if (packet.to == Packet::To::network)
        reach_network(packet.frame);
      else
        reach_host(packet.frame);
    }
    now_ms_ = time_ms;
  }

  bool is_to(const char* role, const Bytes& frame) const {
    const Address address = constants_.address(role, family());
    const std::size_t bytes = family() == 4 ? 4 : 16, at = family() == 4 ? 30 : 38;
    return std::equal(frame.begin() + static_cast<long>(at),
                      frame.begin() + static_cast<long>(at + bytes),
                      std::end(address.value.bytes) - static_cast<long>(bytes));
  }

  void reach_network(const Bytes& frame) {
    if (is_to("backend", frame))
      reach_backend(frame);
    else
      reach_server(frame);
  }

  // It answers each SYN, and an ACK with data.
  void reach_backend(const Bytes& frame) {
    const Segment segment(frame, family());
    note("the backend gets " + std::to_string(segment.flags()));
    if (segment.has(TRAP_TCP_SYN))
      send(Packet::To::host, answer("backend", backend_port, "SA", backend_seq, segment.seq() + 1,
                                    linux_options(), 0));
    else if (segment.ack() == backend_seq + 1)
      send(Packet::To::host, answer("backend", backend_port, "PA", backend_seq + 1, segment.seq(),
                                    Json::array(), data_bytes));
  }

  void reach_server(const Bytes& frame) {
    if (weather_.new_cookie_at && now_ms_ >= *weather_.new_cookie_at && !is_later_) {
      Json later = constants_.moment("now");
      const std::uint64_t window_ns = 1ULL << TRAP_WINDOW_SHIFT;
      later["unix_ns"] = later["unix_ns"].get<std::uint64_t>() + window_ns;
      later["unix_s"] = later["unix_ns"].get<std::uint64_t>() / 1000000000;
      server_rig().set_time(*server_, constants_, later);
      is_later_ = true;
    }
    const Outcome out = server_->run("trap_server", frame);
    const Segment segment(frame, family());
    note("the server gets " + std::to_string(segment.flags()) + ": " + std::to_string(out.action));
    if (out.action == xdp_tx)
      send(Packet::To::host, out.frame);
    else if (out.action == xdp_pass && !segment.has(TRAP_TCP_SYN))
      send(Packet::To::host, answer(service(), service_port(), "PA", segment.ack(), segment.seq(),
                                    Json::array(), data_bytes));
  }

  void reach_host(const Bytes& frame) {
    const Outcome out = client_->run("trap_client_ingress", frame);
    note("the host gets " + std::to_string(Segment(frame, family()).flags()) + ": " +
         std::to_string(static_cast<int>(out.action)));
    if (out.action == static_cast<std::uint32_t>(TC_ACT_REDIRECT))
      send(Packet::To::network, out.frame);
    else if (out.action == static_cast<std::uint32_t>(TC_ACT_UNSPEC))
      reach_socket(out.frame);
  }

  // RFC 9293 3.10.7, as far as this takes part in it.
  void reach_socket(const Bytes& frame) {
    const Segment segment(frame, family());
    const bool fits = segment.ack() == isn + 1;
    note("the socket gets " + std::to_string(segment.flags()));
    if (socket_ == Ending::dials) {
      if (segment.has(TRAP_TCP_RST | TRAP_TCP_ACK) && fits)
        socket_ = Ending::refused;
      else if (segment.has(TRAP_TCP_SYN | TRAP_TCP_ACK) && fits)
        connect(segment.seq());
    } else if (socket_ == Ending::connected) {
      if (segment.has(TRAP_TCP_RST) && segment.seq() == next_)
        socket_ = Ending::reset;
      else if (segment.has(TRAP_TCP_SYN) || segment.has(TRAP_TCP_PSH))
        take(segment);
    }
  }

  void connect(std::uint32_t seq) {
    socket_ = Ending::connected;
    next_ = seq + 1;
    leave(segment("A", isn + 1, next_));
  }

  void take(const Segment& got) {
    heard_ |= got.has(TRAP_TCP_PSH) && got.seq() == next_;
    if (got.has(TRAP_TCP_SYN))
      leave(segment("A", isn + 1, next_)); // a challenge, RFC 5961 4
  }

  const TestConstants constants_;
  Object* client_ = nullptr;
  Object* server_ = nullptr;
  std::optional<Socket> listener_;
  Weather weather_{};
  std::deque<Packet> under_way_; // all take the same time, so that they are due in order
  std::string log_;
  Ending socket_ = Ending::dials;
  bool heard_ = false, is_later_ = false;
  std::uint32_t next_ = 0;
  int now_ms_ = 0, sent_ = 0;

protected:
  void expect_connected(const Weather& weather, bool is_to_be_heard) {
    const Ending end = play(weather);
    std::string lost;
    for (const int number : weather.lost)
      lost += " " + std::to_string(number);
    EXPECT_EQ(end, Ending::connected)
        << text_of(end) << " over " << weather.round_trip_ms << " ms, lost:" << lost
        << (weather.doubles ? ", doubled" : "") << "\n"
        << log();
    if (is_to_be_heard)
      EXPECT_TRUE(heard()) << "over " << weather.round_trip_ms << " ms, by an end that knows it\n"
                           << log();
  }
};

TEST_P(LongPaths, lead_to_a_connection_and_never_to_a_reset) {
  for (const int round_trip_ms : round_trips_ms)
    for (const bool doubles : {false, true})
      expect_connected({.round_trip_ms = round_trip_ms, .doubles = doubles}, true);
}

TEST_P(LongPaths, with_two_cookies_lead_to_a_connection) {
  if (serves())
    return; // the kernel makes those cookies, by its own clock
  for (const int round_trip_ms : round_trips_ms)
    for (const bool doubles : {false, true})
      for (int at = round_trip_ms / 4; at < 4 * round_trip_ms; at += round_trip_ms / 2)
        expect_connected({.round_trip_ms = round_trip_ms, .doubles = doubles, .new_cookie_at = at},
                         true);
}

// A lost ACK, or lost data, is the sender's to repeat, which is not played here.
TEST_P(LongPaths, with_losses_lead_to_a_connection) {
  for (const int round_trip_ms : round_trips_ms)
    for (int first = 0; first < packets_lost; first++)
      for (int second = first; second < packets_lost && !HasFailure(); second++)
        expect_connected({.round_trip_ms = round_trip_ms, .lost = {first, second}}, false);
}

INSTANTIATE_TEST_SUITE_P(BothFamiliesAndKindsOfService, LongPaths,
                         testing::Combine(testing::Values(4, 6), testing::Bool()));

} // namespace
} // namespace trap::test
