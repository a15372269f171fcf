// SPDX-License-Identifier: Apache-2.0
// Sockets on the loopback device of a test's own network namespace, and that namespace's sysctls.
// Everything throws.
#pragma once

#include <sys/socket.h>

#include <string>

#include "tests/support/vectors.h"

namespace trap::test {

// An owned file descriptor; -1 throws, with what was tried.
class Socket {
public:
  Socket(int fd, const std::string& what);
  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { reset(); }
  int fd() const { return fd_; }
  // Closes it now.
  void reset();

private:
  int fd_;
};

// Gives this process a network namespace of its own. Test runs borrow its loopback device: the
// machine's routes stay out of the results.
void enter_own_network();

void bring_loopback_up();

// net.ipv4.tcp_syncookies is tcp_syncookies. Only after enter_own_network.
void set_tcp_sysctl(const std::string& name, int value);

// On an address of this host that can be a client's, and is none of loopback's: the role "here" of
// the test constants, which bring_loopback_up() gives to the device. A listener that defers leaves
// connections half open until data arrive.
Socket listen_on(int family, int port, bool defers = false);
Socket connect_from(int family, int local_port, int port);
Socket accept_from(const Socket& listener);

// Hands an IP packet, without its link layer, to the stack as if it came in over loopback.
void inject(int family, const Bytes& ip_packet);

} // namespace trap::test
