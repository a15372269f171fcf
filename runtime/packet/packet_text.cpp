// SPDX-License-Identifier: Apache-2.0
// From a line to a draft of a packet; packet_frame.cpp makes a frame of it.
#include "runtime/packet/packet_text.h"

#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/core.h>

#include "dataplane/packet.h"
#include "dataplane/syn_options.h"
#include "runtime/packet/packet_draft.h"

namespace trap {
namespace {

constexpr std::uint64_t kPayloadMax = 9000; // a jumbo frame's

Error wrong(const std::string& reason) {
  return {fmt::format("packet: {}: see \"PACKETS\" in trapctl(1)", reason), ExitCode::usage};
}

std::optional<std::uint64_t> read_number(const std::string& text, std::uint64_t most) {
  const bool hex = text.starts_with("0x");
  const char* begin = text.data() + (hex ? 2 : 0);
  const char* end = text.data() + text.size();
  std::uint64_t number = 0;
  auto [stop, failure] = std::from_chars(begin, end, number, hex ? 16 : 10);
  if (failure != std::errc() || stop != end || begin == end || number > most)
    return std::nullopt;
  return number;
}

std::optional<std::vector<std::uint8_t>> read_hex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
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

void add_big_endian(std::vector<std::uint8_t>& out, std::uint64_t number, int bytes) {
  for (int i = bytes - 1; i >= 0; i--)
    out.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}

// An option of others: its kind, and numbers of so many bytes.
void add_option(PacketDraft& draft, std::uint8_t kind, std::uint64_t number, int bytes) {
  DraftOption option;
  option.bytes = {kind, static_cast<std::uint8_t>(2 + bytes)};
  add_big_endian(option.bytes, number, bytes);
  draft.options.push_back(option);
}

Result<void> add_trap_option(PacketDraft& draft, const std::string& word, trap_option_type type,
                             const std::string& hex) {
  auto bytes = read_hex(hex);
  const std::size_t wanted =
      trap_body_bytes(type, draft.family == TRAP_IPV4 ? 4 : 16) - (type == TRAP_TICKET ? 1 : 0);
  if (!bytes || bytes->size() != wanted)
    return wrong(fmt::format("\"{}\": write {} hexadecimal digits", word, 2 * wanted));
  if (type == TRAP_TICKET)
    bytes->insert(bytes->begin(), 0); // flags
  draft.options.push_back({type, *bytes});
  return {};
}

using Reader =
    std::function<Result<void>(PacketDraft&, const std::string& word, const std::string& value)>;

// A number up to `most`, and what it is for.
Reader number(std::uint64_t most, std::function<void(PacketDraft&, std::uint64_t)> take) {
  return [most, take = std::move(take)](PacketDraft& draft, const std::string& word,
                                        const std::string& value) -> Result<void> {
    auto read = read_number(value, most);
    if (!read)
      return wrong(fmt::format("\"{}\": write a number from 0 to {}", word, most));
    take(draft, *read);
    return {};
  };
}

Result<void> read_timestamp(PacketDraft& draft, const std::string& word, const std::string& value) {
  const std::size_t colon = value.find(':');
  auto stamp = read_number(value.substr(0, colon), UINT32_MAX);
  auto echo =
      colon == std::string::npos ? std::nullopt : read_number(value.substr(colon + 1), UINT32_MAX);
  if (!stamp || !echo)
    return wrong(fmt::format("\"{}\": write timestamp=VALUE:ECHO", word));
  add_option(draft, TRAP_TCPOPT_TIMESTAMPS, *stamp << 32 | *echo, 8);
  return {};
}

Reader trap_option(trap_option_type type) {
  return [type](PacketDraft& draft, const std::string& word, const std::string& value) {
    return add_trap_option(draft, word, type, value);
  };
}

const std::map<std::string, Reader>& readers() {
  static const std::map<std::string, Reader> all = {
      {"seq", number(UINT32_MAX, [](PacketDraft& d,
                                    std::uint64_t n) { d.seq = static_cast<std::uint32_t>(n); })},
      {"ack", number(UINT32_MAX, [](PacketDraft& d,
                                    std::uint64_t n) { d.ack = static_cast<std::uint32_t>(n); })},
      {"window",
       number(UINT16_MAX,
              [](PacketDraft& d, std::uint64_t n) { d.window = static_cast<std::uint16_t>(n); })},
      {"payload",
       number(kPayloadMax, [](PacketDraft& d,
                              std::uint64_t n) { d.payload_bytes = static_cast<std::size_t>(n); })},
      {"vlan",
       number(4095, [](PacketDraft& d,
                       std::uint64_t n) { d.vlans.push_back(static_cast<std::uint16_t>(n)); })},
      {"mss", number(UINT16_MAX, [](PacketDraft& d,
                                    std::uint64_t n) { add_option(d, TRAP_TCPOPT_MSS, n, 2); })},
      {"wscale",
       number(UINT8_MAX, [](PacketDraft& d,
                            std::uint64_t n) { add_option(d, TRAP_TCPOPT_WINDOW_SCALE, n, 1); })},
      {"timestamp", read_timestamp},
      {"ticket", trap_option(TRAP_TICKET)},
      {"announce", trap_option(TRAP_ANNOUNCE)},
      {"redirect", trap_option(TRAP_REDIRECT)},
  };
  return all;
}

// A word without a value.
bool read_plain(PacketDraft& draft, const std::string& word) {
  for (const FlagName& flag : kFlagNames) {
    if (word == flag.name) {
      draft.flags |= flag.bit;
      return true;
    }
  }
  if (word == "sack-perm")
    add_option(draft, TRAP_TCPOPT_SACK_PERMITTED, 0, 0);
  else if (word == "nop")
    draft.options.push_back({TRAP_OPTION_NONE, {TRAP_TCPOPT_NOP}});
  else if (word == "offer")
    draft.options.push_back({TRAP_OFFER, {0}});
  else if (word == "accept")
    draft.options.push_back({TRAP_ACCEPT, {0}});
  else if (word == "experimental")
    draft.experimental = true;
  else if (word == "fragment")
    draft.fragment = true;
  else if (word == "bad-checksum")
    draft.bad_checksum = true;
  else
    return false;
  return true;
}

Result<void> read_word(PacketDraft& draft, const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) {
    if (read_plain(draft, word))
      return {};
    return wrong(fmt::format("\"{}\" is not understood", word));
  }
  auto reader = readers().find(word.substr(0, equals));
  if (reader == readers().end())
    return wrong(fmt::format("\"{}\" is not understood", word));
  return reader->second(draft, word, word.substr(equals + 1));
}

Result<Endpoint> read_end(const std::string& word) {
  auto end = parse_endpoint(word);
  if (!end)
    return wrong(end.error().message);
  return end;
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
  PacketDraft draft;
  draft.source = *source;
  draft.destination = *destination;
  draft.family = family_of(source->address);
  draft.is_udp = words[0] == "udp";
  if (draft.family != family_of(destination->address))
    return wrong(fmt::format("{} and {} are of two families", words[1], words[3]));
  for (std::size_t i = 4; i < words.size(); i++) {
    if (auto read = read_word(draft, words[i]); !read)
      return read.error();
  }
  if (draft.vlans.size() > TRAP_VLAN_TAGS_MAX)
    return wrong(fmt::format("vlan= is there more than {} times", TRAP_VLAN_TAGS_MAX));
  return make_frame(draft);
}

} // namespace trap
