// SPDX-License-Identifier: Apache-2.0
// The option area of a TCP header, written option by option.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "protocol/wire.h"
#include "runtime/packet/byte_writer.h"

namespace trap {

// Every function appends, and returns the options for the next.
class TcpOptions {
public:
  TcpOptions& mss(std::uint16_t bytes);
  TcpOptions& sack_permitted();
  TcpOptions& timestamps(std::uint32_t value, std::uint32_t echo);
  TcpOptions& window_scale(std::uint8_t shift);
  TcpOptions& nop(std::size_t count = 1);
  // NOPs up to the next whole word.
  TcpOptions& align();
  // Option kind 253 if experimental, TRAP's own otherwise. `body` is as protocol/wire.h has it.
  TcpOptions& trap(trap_option_type type, std::span<const std::uint8_t> body, bool experimental);

  const std::vector<std::uint8_t>& bytes() const { return writer_.out; }

private:
  TcpOptions& append(std::uint8_t kind, std::uint64_t body, int body_bytes);

  ByteWriter writer_;
};

// The bytes of a body of protocol/wire.h.
template <typename Body> std::span<const std::uint8_t> bytes_of(const Body& body) {
  return {reinterpret_cast<const std::uint8_t*>(&body), sizeof(body)};
}

// The MSS that an Ethernet link of 1500 bytes leaves.
std::uint16_t usual_mss(trap_family family);

} // namespace trap
