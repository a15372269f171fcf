// SPDX-License-Identifier: Apache-2.0
// A translator from IPv6 to IPv4 (RFC 7915) on a lab host: a tun interface, to which the host
// routes a prefix and an IPv4 address, and a thread that translates the TCP of one IPv6 host. That
// host has the IPv4 address to itself, so ports stay as they are.
#pragma once

#include <string>
#include <thread>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

struct Nat64Plan {
  std::string interface;
  std::string prefix; // of 96 bits, without its length: "64:ff9b::"
  std::string ipv6;   // of the host behind,
  std::string ipv4;   // and what it is to IPv4 hosts
};

class Nat64 {
public:
  // Interface and routes go with it.
  static Result<Nat64> start(const Host& host, const Nat64Plan& plan);

private:
  Nat64(Fd device, const Nat64Plan& plan);
  Fd device_;
  std::jthread translator_; // ends before the descriptor closes
};

} // namespace trap::lab
