// SPDX-License-Identifier: Apache-2.0
// The TRAP message that a frame carries, field by field (docs/protocol.md 3).
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "dataplane/options.h"
#include "runtime/packet/packet_text.h"

namespace trap {

struct TrapMessage {
  trap_option_defect defect = TRAP_OPTIONS_SOUND; // with a defect, name and fields are empty
  std::string name;                               // "OFFER", "ACCEPT"...
  bool experimental = false;                      // came with kind 253
  nlohmann::ordered_json fields;                  // of the body, in its order
};

// Empty if the frame is no TCP segment of IPv4 or IPv6, or its options parse and are none of ours.
std::optional<TrapMessage> read_trap_message(const Frame& frame);

// The packet view of a frame, wherever it lies in memory.
trap_layer view_frame(trap_packet& packet, const Frame& frame);

// Two digits a byte.
std::string format_hex(const std::uint8_t* bytes, std::size_t count);

} // namespace trap
