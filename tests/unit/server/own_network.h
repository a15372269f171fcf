// SPDX-License-Identifier: Apache-2.0
// A network namespace for tests that need real sockets: nothing in it but loopback, gone with the
// process.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "runtime/config/endpoint.h"
#include "runtime/fd.h"

namespace trap::test {

class OwnNetwork : public testing::Test {
protected:
  void SetUp() override; // skips, with the reason, where namespaces may not be made

  // Writes /proc/sys/net/ipv4/NAME of the namespace.
  static void set(const std::string& name, int value);

  // A counter of /proc/net/netstat, group TcpExt.
  static long tcp_ext(const std::string& name);

  // A listening TCP socket, not blocking. Port 0 in `at`: any; the endpoint it has is returned in
  // `at`.
  static Fd listen_at(Endpoint& at, int backlog = 16);

  // A connection to a listener, made while nothing else wants it.
  static Fd connection_to(const Endpoint& listener);

  // How many connections wait to be accepted; they are accepted and closed.
  static int accepted(const Fd& listener);

  // Endpoints of loopback in both families, with port 0.
  static Endpoint loopback(int family);
};

} // namespace trap::test
