// SPDX-License-Identifier: Apache-2.0
#include "runtime/net/port_filter.h"

#include <iterator>
#include <linux/filter.h>
#include <sys/socket.h>

namespace trap {

// A raw IPv4 socket's filter sees the packet from its IP header on, an IPv6 one's from the TCP
// header on.
int let_in_port(int fd, trap_family family, std::uint16_t port) {
  sock_filter v4[] = {BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
                      BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0)};
  sock_filter v6[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2),
                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
                      BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program = family == TRAP_IPV4
                                 ? sock_fprog{static_cast<unsigned short>(std::size(v4)), v4}
                                 : sock_fprog{static_cast<unsigned short>(std::size(v6)), v6};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

} // namespace trap
