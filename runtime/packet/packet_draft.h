// SPDX-License-Identifier: Apache-2.0
// Inside packet_text: a packet between its line and its frame.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/packet.h"
#include "protocol/wire.h"
#include "runtime/config/endpoint.h"
#include "runtime/packet/packet_text.h"

namespace trap {

struct FlagName {
  const char* name;
  std::uint8_t bit;
};

inline constexpr FlagName kFlagNames[] = {
    {"SYN", TRAP_TCP_SYN}, {"ACK", TRAP_TCP_ACK}, {"RST", TRAP_TCP_RST}, {"FIN", TRAP_TCP_FIN},
    {"PSH", TRAP_TCP_PSH}, {"URG", 0x20},         {"ECE", 0x40},         {"CWR", 0x80},
};

inline constexpr std::uint16_t kDefaultWindow = 64240;

struct DraftOption {
  trap_option_type type = TRAP_OPTION_NONE; // NONE: `bytes` is the whole option; else TRAP's body
  std::vector<std::uint8_t> bytes;
};

struct PacketDraft {
  trap_family family = TRAP_IPV4;
  Endpoint source;
  Endpoint destination;
  bool is_udp = false;
  std::uint8_t flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t window = kDefaultWindow;
  std::size_t payload_bytes = 0;
  std::vector<std::uint16_t> vlans; // the outer first
  std::vector<DraftOption> options;
  bool experimental = false;
  bool fragment = false; // the first of several
  bool bad_checksum = false;
};

Result<Frame> make_frame(const PacketDraft& draft);

} // namespace trap
