// SPDX-License-Identifier: Apache-2.0
// Keeps the map `connection_filter` true (server/bpf/connection_filter.bpf.h): sets the bits of all
// connections that the stack has at ports of services, again and again, and tells the program until
// when it may rely on them.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>

#include "server/daemon/serving/socket_list.h"
#include "server/maps.h"

namespace trap::server {

using KnownWords = std::array<trap_connection_filter, TRAP_CONNECTION_FILTER_WORDS>;

class KnownConnections {
public:
  // Both live in maps, and longer than this. The program does not rely on the filter until
  // advance() says so.
  KnownConnections(KnownWords& words, trap_server_settings& settings)
      : words_(&words), settings_(&settings) {
    distrust(0);
  }

  // Ports at which connections of services may be, in host byte order; none: there is nothing to
  // know.
  void watch(std::set<std::uint16_t> ports) { ports_ = std::move(ports); }

  // From now on the program relies on nothing, until lists that begin later are whole. Before
  // services are told anything after which connections count that the program did not see coming:
  // the end of peace, other services. now_ns: CLOCK_MONOTONIC.
  void distrust(std::uint64_t now_ns);

  // Distrusts for good: the contents of the maps are unknown.
  void give_up();

  // A few times a second.
  void advance(std::uint64_t now_ns);

  bool trusted(std::uint64_t now_ns) const {
    return now_ns < settings_->connection_filter_until_ns;
  }
  std::uint64_t count() const { return count_; } // of the last whole list
  const std::string& problem() const { return problem_; }

private:
  void begin(std::uint64_t now_ns);
  void change_generation();
  void note(const HostConnection& connection);
  void complete(std::uint64_t now_ns);
  void fail(std::uint64_t now_ns, const Error& error);
  void tell(std::uint64_t until_ns);

  KnownWords* words_;
  trap_server_settings* settings_;
  SocketList list_;
  std::set<std::uint16_t> ports_;
  bool listing_ = false;
  bool given_up_ = false;
  std::uint64_t due_ns_ = 0;   // when the next list may begin
  std::uint64_t begun_ns_ = 0; // when the present one did
  unsigned whole_lists_ = 0;   // since distrust()
  unsigned generation_lists_ = 0;
  std::uint64_t counting_ = 0;
  std::uint64_t count_ = 0;
  std::string problem_;
};

} // namespace trap::server
