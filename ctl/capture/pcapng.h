// SPDX-License-Identifier: Apache-2.0
// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), in this host's byte order: one section, its
// interfaces, and packets with a comment each.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace trap::ctl {

enum class LinkType : std::uint16_t { ethernet = 1, ip = 101 };

struct PcapngPacket {
  std::uint32_t interface = 0; // the number of its interface block, from 0
  std::uint64_t at_ns = 0;     // Unix time
  std::uint32_t length = 0;    // on the wire; at least as many as `bytes`
  bool leaves = false;
  std::span<const std::uint8_t> bytes;
  std::string comment;
};

std::string pcapng_section(const std::string& application);
std::string pcapng_interface(const std::string& name, LinkType link, std::uint32_t snap_bytes);
std::string pcapng_packet(const PcapngPacket& packet);

} // namespace trap::ctl
