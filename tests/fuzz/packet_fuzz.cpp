// SPDX-License-Identifier: Apache-2.0
// Any bytes as a frame: the packet view reads nothing beyond them, and what it calls TCP is within
// its bounds.
#include "dataplane/packet.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "dataplane/options.h"
#include "dataplane/segment.h"

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

void check_tcp(const trap_packet& packet, const std::uint8_t* data, std::size_t size) {
  require(packet.family == TRAP_IPV4 || packet.family == TRAP_IPV6);
  require(packet.header_bytes >= 20 && packet.header_bytes <= 60 && packet.header_bytes % 4 == 0);
  require(std::size_t{packet.l4_offset} + packet.header_bytes <= size);
  require(packet.l4_offset + packet.header_bytes <= packet.l3_end);
  require(packet.has_ports);
  trap_option_area area;
  const trap_option option =
      trap_find_option(&area, data + packet.l4_offset, data + size, packet.header_bytes,
                       static_cast<__u32>(packet.family));
  require(option.defect == TRAP_OPTIONS_SOUND || option.type == TRAP_OPTION_NONE);
  require(trap_segment_kind(packet.flags) <= TRAP_SEGMENT_ABSURD);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  // As drivers do (NET_IP_ALIGN), so that headers behind the 14 bytes of Ethernet are aligned; ends
  // exactly where the frame does.
  const auto memory = std::make_unique<std::uint8_t[]>(size + 2);
  std::uint8_t* const data = memory.get() + 2;
  std::copy_n(input, size, data);
  trap_packet packet = {};
  switch (trap_read_frame(&packet, data, data + size)) {
  case TRAP_LAYER_TCP:
    check_tcp(packet, data, size);
    break;
  case TRAP_LAYER_DEFECTIVE:
    require(packet.family == TRAP_IPV4 || packet.family == TRAP_IPV6 ||
            packet.defect == TRAP_DROP_VLAN_TAGS);
    require(trap_verdict_action(packet.defect) == TRAP_ACTION_DROP);
    break;
  default:
    break;
  }
  return 0;
}
