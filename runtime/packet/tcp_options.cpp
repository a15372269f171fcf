// SPDX-License-Identifier: Apache-2.0
#include "runtime/packet/tcp_options.h"

#include "dataplane/syn_options.h"

namespace trap {

TcpOptions& TcpOptions::append(std::uint8_t kind, std::uint64_t body, int body_bytes) {
  writer_.number(kind, 1);
  writer_.number(static_cast<std::uint64_t>(2 + body_bytes), 1);
  writer_.number(body, body_bytes);
  return *this;
}

TcpOptions& TcpOptions::mss(std::uint16_t bytes) {
  return append(TRAP_TCPOPT_MSS, bytes, 2);
}

TcpOptions& TcpOptions::sack_permitted() {
  return append(TRAP_TCPOPT_SACK_PERMITTED, 0, 0);
}

TcpOptions& TcpOptions::timestamps(std::uint32_t value, std::uint32_t echo) {
  return append(TRAP_TCPOPT_TIMESTAMPS, std::uint64_t{value} << 32 | echo, 8);
}

TcpOptions& TcpOptions::window_scale(std::uint8_t shift) {
  return append(TRAP_TCPOPT_WINDOW_SCALE, shift, 1);
}

TcpOptions& TcpOptions::nop(std::size_t count) {
  writer_.out.insert(writer_.out.end(), count, TRAP_TCPOPT_NOP);
  return *this;
}

TcpOptions& TcpOptions::align() {
  return nop((4 - bytes().size() % 4) % 4);
}

TcpOptions& TcpOptions::trap(trap_option_type type, std::span<const std::uint8_t> body,
                             bool experimental) {
  std::uint8_t header[TRAP_HEADER_BYTES_EXPERIMENTAL];
  const __u32 header_bytes =
      trap_put_header(header, type, static_cast<__u32>(body.size()), experimental);
  writer_.append(std::span(header).first(header_bytes));
  writer_.append(body);
  return *this;
}

std::uint16_t usual_mss(trap_family family) {
  return family == TRAP_IPV4 ? 1460 : 1440;
}

} // namespace trap
