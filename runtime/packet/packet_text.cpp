// SPDX-License-Identifier: Apache-2.0
// A line becomes a description of a packet, which the segment builder makes a frame of; a frame
// becomes a line through the packet view that BPF programs use.
#include "runtime/packet/packet_text.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/core.h>
#include <linux/if_ether.h>

#include "dataplane/checksum.h"
#include "dataplane/options.h"
#include "dataplane/packet.h"
#include "dataplane/syn_options.h"
#include "runtime/packet/tcp_options.h"
#include "runtime/packet/trap_message.h"
#include "runtime/verdict_text.h"

namespace trap {
namespace {

constexpr std::uint64_t payload_max = 9000; // a jumbo frame's
constexpr std::uint8_t fragment_header = 44;
constexpr const char* experimental_word = "experimental"; // counts for all options, wherever it is

struct FlagName {
  const char* name;
  std::uint8_t bit;
};

constexpr FlagName flag_names[] = {
    {"SYN", tcp_syn}, {"ACK", tcp_ack}, {"RST", tcp_rst}, {"FIN", tcp_fin},
    {"PSH", tcp_psh}, {"URG", tcp_urg}, {"ECE", 0x40},    {"CWR", 0x80},
};

// From a line to a frame.

struct Draft {
  Segment segment;
  TcpOptions options;
  bool is_udp = false;
  std::vector<std::uint16_t> vlans; // the outer first
  bool experimental = false;
  bool fragment = false;
  bool bad_checksum = false;

  trap_family family() const { return family_of(segment.from.address); }
};

Error wrong(const std::string& reason) {
  return {fmt::format("packet: {}: see \"PACKETS\" in trapctl(1)", reason), ExitCode::usage};
}

std::optional<std::uint64_t> parse_number(const std::string& text, std::uint64_t most) {
  const bool hex = text.starts_with("0x");
  const char* begin = text.data() + (hex ? 2 : 0);
  const char* end = text.data() + text.size();
  std::uint64_t number = 0;
  auto [stop, failure] = std::from_chars(begin, end, number, hex ? 16 : 10);
  if (failure != std::errc() || stop != end || begin == end || number > most)
    return std::nullopt;
  return number;
}

std::optional<Bytes> read_hex(const std::string& text) {
  Bytes bytes;
  if (text.size() % 2 != 0)
    return std::nullopt;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    std::uint8_t byte = 0;
    auto [stop, failure] = std::from_chars(text.data() + at, text.data() + at + 2, byte, 16);
    if (failure != std::errc() || stop != text.data() + at + 2)
      return std::nullopt;
    bytes.push_back(byte);
  }
  return bytes;
}

Result<void> add_trap_option(Draft& draft, const std::string& word, trap_option_type type,
                             const std::string& hex) {
  auto body = read_hex(hex);
  const std::size_t wanted =
      trap_body_bytes(type, draft.family() == TRAP_IPV4 ? 4 : 16) - (type == TRAP_TICKET ? 1 : 0);
  if (!body || body->size() != wanted)
    return wrong(fmt::format("\"{}\": write {} hexadecimal digits", word, 2 * wanted));
  if (type == TRAP_TICKET)
    body->insert(body->begin(), 0); // flags
  draft.options.trap(type, *body, draft.experimental);
  return {};
}

using WordReader =
    std::function<Result<void>(Draft&, const std::string& word, const std::string& value)>;

// A word whose value is a number up to `most`.
template <typename Number> WordReader number(std::uint64_t most, void (*take)(Draft&, Number)) {
  return [most, take](Draft& draft, const std::string& word,
                      const std::string& value) -> Result<void> {
    auto read = parse_number(value, most);
    if (!read)
      return wrong(fmt::format("\"{}\": write a number from 0 to {}", word, most));
    take(draft, static_cast<Number>(*read));
    return {};
  };
}

Result<void> read_timestamp(Draft& draft, const std::string& word, const std::string& value) {
  const std::size_t colon = value.find(':');
  auto stamp = parse_number(value.substr(0, colon), UINT32_MAX);
  auto echo =
      colon == std::string::npos ? std::nullopt : parse_number(value.substr(colon + 1), UINT32_MAX);
  if (!stamp || !echo)
    return wrong(fmt::format("\"{}\": write timestamp=VALUE:ECHO", word));
  draft.options.timestamps(static_cast<std::uint32_t>(*stamp), static_cast<std::uint32_t>(*echo));
  return {};
}

WordReader reader_of_trap_option(trap_option_type type) {
  return [type](Draft& draft, const std::string& word, const std::string& value) {
    return add_trap_option(draft, word, type, value);
  };
}

const std::map<std::string, WordReader>& word_readers() {
  using Word = std::uint32_t;
  using Half = std::uint16_t;
  using Byte = std::uint8_t;
  static const std::map<std::string, WordReader> all = {
      {"seq", number<Word>(UINT32_MAX, [](Draft& draft, Word n) { draft.segment.seq = n; })},
      {"ack", number<Word>(UINT32_MAX, [](Draft& draft, Word n) { draft.segment.ack = n; })},
      {"window", number<Half>(UINT16_MAX, [](Draft& draft, Half n) { draft.segment.window = n; })},
      {"payload",
       number<Half>(payload_max, [](Draft& draft, Half n) { draft.segment.payload.resize(n); })},
      {"vlan", number<Half>(4095, [](Draft& draft, Half n) { draft.vlans.push_back(n); })},
      {"mss", number<Half>(UINT16_MAX, [](Draft& draft, Half n) { draft.options.mss(n); })},
      {"wscale",
       number<Byte>(UINT8_MAX, [](Draft& draft, Byte n) { draft.options.window_scale(n); })},
      {"timestamp", read_timestamp},
      {"ticket", reader_of_trap_option(TRAP_TICKET)},
      {"announce", reader_of_trap_option(TRAP_ANNOUNCE)},
      {"redirect", reader_of_trap_option(TRAP_REDIRECT)},
      {"consent", reader_of_trap_option(TRAP_CONSENT)},
  };
  return all;
}

// A word without a value.
bool read_plain(Draft& draft, const std::string& word) {
  for (const FlagName& flag : flag_names) {
    if (word == flag.name) {
      draft.segment.flags |= flag.bit;
      return true;
    }
  }
  if (word == "sack-perm")
    draft.options.sack_permitted();
  else if (word == "nop")
    draft.options.nop();
  else if (word == "offer")
    draft.options.trap(TRAP_OFFER, bytes_of(trap_hello_body{}), draft.experimental);
  else if (word == "accept")
    draft.options.trap(TRAP_ACCEPT, bytes_of(trap_hello_body{}), draft.experimental);
  else if (word == experimental_word)
    return true; // read before all others
  else if (word == "fragment")
    draft.fragment = true;
  else if (word == "bad-checksum")
    draft.bad_checksum = true;
  else
    return false;
  return true;
}

Result<void> read_word(Draft& draft, const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) {
    if (read_plain(draft, word))
      return {};
    return wrong(fmt::format("\"{}\" is not understood", word));
  }
  auto reader = word_readers().find(word.substr(0, equals));
  if (reader == word_readers().end())
    return wrong(fmt::format("\"{}\" is not understood", word));
  return reader->second(draft, word, word.substr(equals + 1));
}

Result<Endpoint> read_end(const std::string& word) {
  auto end = parse_endpoint(word);
  if (!end)
    return wrong(end.error().message);
  return end;
}

Ethernet ethernet_of(const Draft& draft) {
  Ethernet ethernet = {.destination = described_destination, .source = {0x02, 0, 0, 0, 0, 0x01}};
  for (std::size_t i = 0; i < draft.vlans.size(); i++) {
    const bool is_inner = i + 1 == draft.vlans.size();
    ethernet.tags.push_back(
        {is_inner ? std::uint16_t{ETH_P_8021Q} : std::uint16_t{ETH_P_8021AD}, draft.vlans[i]});
  }
  return ethernet;
}

IpFields ip_fields_of(const Draft& draft) {
  IpFields ip;
  if (draft.fragment) {
    ip.fragment = ipv4_more_fragments;
    ip.extensions = {{fragment_header, {0, 0, 0, 1, 0, 0, 0, 0}}}; // offset 0, more fragments
  }
  if (draft.bad_checksum)
    ip.checksum_damage = 0xffff;
  return ip;
}

Result<Frame> make_frame(Draft& draft) {
  const std::size_t options_bytes = (draft.options.bytes().size() + 3) / 4 * 4;
  if (options_bytes > TRAP_TCP_OPTIONS_MAX)
    return Error{fmt::format("packet: its TCP options are {} bytes, and a header has room for {}",
                             options_bytes, TRAP_TCP_OPTIONS_MAX),
                 ExitCode::usage};
  const Ethernet ethernet = ethernet_of(draft);
  Segment& segment = draft.segment;
  segment.options = draft.options.bytes();
  segment.ip = ip_fields_of(draft);
  if (draft.bad_checksum && draft.family() == TRAP_IPV6)
    segment.checksum_damage = 0xffff;
  return draft.is_udp ? build_frame(ethernet, Datagram{.from = segment.from,
                                                       .to = segment.to,
                                                       .payload = segment.payload,
                                                       .ip = segment.ip,
                                                       .checksum_damage = segment.checksum_damage})
                      : build_frame(ethernet, segment);
}

// From a frame to a line.

std::uint32_t read_number(const std::uint8_t* at, int bytes) {
  std::uint32_t number = 0;
  for (int i = 0; i < bytes; i++)
    number = number << 8 | at[i];
  return number;
}

std::string flags_text(std::uint8_t flags) {
  std::string text;
  for (const FlagName& flag : flag_names) {
    if (flags & flag.bit)
      text += std::string(" ") + flag.name;
  }
  return text;
}

// The body of an option of ours.
std::string trap_option_text(std::uint32_t type, const std::uint8_t* body, std::size_t bytes) {
  switch (type) {
  case TRAP_OFFER:
    return " offer";
  case TRAP_ACCEPT:
    return " accept";
  case TRAP_TICKET:
    return " ticket=" + format_hex(body + 1, bytes - 1);
  case TRAP_REDIRECT:
    return " redirect=" + format_hex(body, bytes);
  case TRAP_CONSENT:
    return " consent=" + format_hex(body, bytes);
  default:
    return " announce=" + format_hex(body, bytes);
  }
}

// An option of ours, well-formed or not; the one the walk found is well-formed if `option` says so.
std::string our_option_text(const trap_option_area& area, std::uint32_t at) {
  const trap_option option = trap_read_option(&area, at);
  if (option.type == TRAP_OPTION_NONE)
    return " malformed-option=" + format_hex(area.bytes + at, area.bytes[at + 1]);
  const std::size_t body_bytes = trap_body_bytes(option.type, area.address_bytes);
  return trap_option_text(option.type, area.bytes + option.body_offset, body_bytes) +
         (option.experimental ? " experimental" : "");
}

std::string option_text(const trap_option_area& area, std::uint32_t at) {
  const std::uint8_t* option = area.bytes + at;
  const std::uint32_t length = option[1];
  if (trap_is_our_kind(option, length))
    return our_option_text(area, at);
  if (option[0] == TRAP_TCPOPT_MSS && length == 4)
    return fmt::format(" mss={}", read_number(option + 2, 2));
  if (option[0] == TRAP_TCPOPT_WINDOW_SCALE && length == 3)
    return fmt::format(" wscale={}", option[2]);
  if (option[0] == TRAP_TCPOPT_SACK_PERMITTED && length == 2)
    return " sack-perm";
  if (option[0] == TRAP_TCPOPT_TIMESTAMPS && length == 10)
    return fmt::format(" timestamp={}:{}", read_number(option + 2, 4), read_number(option + 6, 4));
  return fmt::format(" option-{}={}", option[0], format_hex(option + 2, length - 2));
}

std::string options_text(const trap_packet& packet, const Frame& frame) {
  trap_option_area area;
  trap_copy_options(&area, frame.data() + packet.l4_offset, frame.data() + frame.size(),
                    packet.header_bytes, packet.family);
  std::string text;
  for (std::uint32_t at = 0; at < area.used && area.bytes[at] != TRAP_TCPOPT_EOL;) {
    if (area.bytes[at] == TRAP_TCPOPT_NOP) {
      text += " nop";
      at++;
      continue;
    }
    const std::uint32_t length = area.bytes[at + 1];
    if (length < 2 || at + length > area.used)
      return text + " malformed-options";
    text += option_text(area, at);
    at += length;
  }
  return text;
}

std::string vlans_text(const trap_packet& packet, const Frame& frame) {
  std::string text;
  for (std::size_t at = ETH_HLEN; at + 4 <= packet.l3_offset; at += 4)
    text += fmt::format(" vlan={}", read_number(&frame[at], 2) & 0xfff);
  return text;
}

bool ipv4_checksum_is_wrong(const trap_packet& packet, const Frame& frame) {
  return packet.family == TRAP_IPV4 &&
         trap_sum_fold(trap_sum_bytes(&frame[packet.l3_offset],
                                      std::uint32_t{packet.l4_offset} - packet.l3_offset)) != 0;
}

std::string segment_text(const trap_packet& packet, const Frame& frame) {
  std::string text = flags_text(packet.flags);
  if (packet.seq)
    text += fmt::format(" seq={}", TRAP_FROM_BE32(packet.seq));
  if (packet.ack)
    text += fmt::format(" ack={}", TRAP_FROM_BE32(packet.ack));
  if (TRAP_FROM_BE16(packet.window) != usual_window)
    text += fmt::format(" window={}", TRAP_FROM_BE16(packet.window));
  text += options_text(packet, frame);
  if (trap_payload_bytes(&packet))
    text += fmt::format(" payload={}", trap_payload_bytes(&packet));
  return text + (ipv4_checksum_is_wrong(packet, frame) ? " bad-checksum" : "");
}

std::string ends_text(const trap_packet& packet) {
  if (!packet.has_ports)
    return fmt::format("tcp {} > {}", format_address(packet.source),
                       format_address(packet.destination));
  return fmt::format(
      "tcp {} > {}", format_endpoint({packet.source, TRAP_FROM_BE16(packet.source_port)}),
      format_endpoint({packet.destination, TRAP_FROM_BE16(packet.destination_port)}));
}

} // namespace

Result<Frame> parse_packet(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;)
    words.push_back(word);
  if (words.size() < 4 || (words[0] != "tcp" && words[0] != "udp") || words[2] != ">")
    return wrong(
        fmt::format(R"("{}" does not begin with "tcp ADDRESS:PORT > ADDRESS:PORT")", text));
  auto source = read_end(words[1]);
  auto destination = read_end(words[3]);
  if (!source || !destination)
    return source ? destination.error() : source.error();
  Draft draft;
  draft.segment.from = *source;
  draft.segment.to = *destination;
  draft.is_udp = words[0] == "udp";
  draft.experimental = std::ranges::find(words, experimental_word) != words.end();
  if (draft.family() != family_of(destination->address))
    return wrong(fmt::format("{} and {} are of two families", words[1], words[3]));
  for (std::size_t i = 4; i < words.size(); i++) {
    if (auto read = read_word(draft, words[i]); !read)
      return read.error();
  }
  if (draft.vlans.size() > TRAP_VLAN_TAGS_MAX)
    return wrong(fmt::format("vlan= is there more than {} times", TRAP_VLAN_TAGS_MAX));
  return make_frame(draft);
}

std::string format_packet(const Frame& frame) {
  trap_packet packet;
  switch (view_frame(packet, frame)) {
  case TRAP_LAYER_TCP:
    return ends_text(packet) + segment_text(packet, frame) + vlans_text(packet, frame);
  case TRAP_LAYER_DEFECTIVE:
    if (packet.defect == TRAP_DROP_VLAN_TAGS)
      return fmt::format("a frame of {} bytes behind{} and more", frame.size(),
                         vlans_text(packet, frame));
    return ends_text(packet) +
           (packet.defect == TRAP_DROP_FRAGMENT
                ? " fragment"
                : fmt::format(" ({})", verdict_name(packet.defect))) +
           vlans_text(packet, frame);
  default:
    return fmt::format("no TCP: a frame of {} bytes", frame.size());
  }
}

} // namespace trap
