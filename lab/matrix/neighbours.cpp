// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/neighbours.h"

#include <net/if.h>

#include <fmt/format.h>

#include "lab/matrix/matrix.h"
#include "lab/network/tc_programs.h"

namespace trap::lab {
namespace {

constexpr int ports[] = {matrix_served_port, matrix_plain_port};

unsigned index_in(const Host& host, const std::string& interface) {
  const InHost inside{host};
  return inside.entered() ? if_nametoindex(interface.c_str()) : 0;
}

} // namespace

// The container has addresses of its own, and the TRAP host's, so that packets can be translated
// for it, or led to it as they are.
Result<void> Neighbours::connect_container() {
  if (!container_) {
    auto made = Host::create("container");
    if (!made)
      return made.error();
    container_ = std::move(*made);
  }
  const HostAddresses& trap = addresses_of("trap");
  is_connected_ = true;
  if (auto done = trap_->ip(fmt::format(
          "link add pod0 type veth peer name eth0 address {} netns {}\n"
          "address add {}/24 dev pod0\n"
          "address add {}/64 dev pod0 nodad\n"
          "link set pod0 up\n",
          text_of(trap.mac()), container_->namespace_name(), pod_gateway_ipv4, pod_gateway_ipv6));
      !done)
    return done;
  if (auto done = container_->ip(fmt::format(
          "address add {}/24 dev eth0\naddress add {}/64 dev eth0 nodad\nlink set eth0 up\n"
          "route add default via {}\nroute add ::/0 via {}\n",
          pod_ipv4, pod_ipv6, pod_gateway_ipv4, pod_gateway_ipv6));
      !done)
    return done;
  for (const std::string_view entry : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"})
    if (auto set = trap_->set(entry, "1"); !set)
      return set;
  return {};
}

Result<void> Neighbours::put(const std::string& interface, Fd program) {
  if (!program)
    return Error{"cannot load a program: " + error_text(errno)};
  return put_first(*trap_, interface, Direction::ingress, program);
}

Result<void> Neighbours::lead_to_container() {
  const HostAddresses& trap = addresses_of("trap");
  if (auto done = container_->ip(fmt::format(
          "address add {0}/32 dev lo\naddress add {1}/128 dev lo nodad\n"
          "neighbour replace {2} lladdr {4} dev eth0\nneighbour replace {3} lladdr {4} dev eth0\n",
          trap.ipv4, trap.ipv6, pod_gateway_ipv4, pod_gateway_ipv6, text_of(trap.router_mac())));
      !done)
    return done;
  if (auto done = put("pod0", program_that_leads_to(index_in(*trap_, "eth0"), {})); !done)
    return done;
  program_ = program_that_leads_to(index_in(*trap_, "pod0"), ports);
  return program_ ? put_first(*trap_, "eth0", Direction::ingress, program_)
                  : Error{"cannot load a program: " + error_text(errno)};
}

Result<void> Neighbours::route_to_container() {
  const HostAddresses& trap = addresses_of("trap");
  if (auto done = container_->ip(fmt::format(
          "address add {}/32 dev lo\naddress add {}/128 dev lo nodad\n", trap.ipv4, trap.ipv6));
      !done)
    return done;
  return trap_->ip(
      fmt::format("route add {}/32 via {} dev pod0\nroute add {}/128 via {} dev pod0\n", trap.ipv4,
                  pod_ipv4, trap.ipv6, pod_ipv6));
}

Result<void> Neighbours::arrive(const Cell& cell) {
  if (cell.listening.container)
    if (auto done = connect_container(); !done)
      return done;
  switch (cell.program) {
  case Neighbour::none:
    return {};
  case Neighbour::accepts:
    program_ = program_that_accepts();
    return put_first(*trap_, "eth0", Direction::ingress, program_);
  case Neighbour::answers:
    return lead_to_container();
  case Neighbour::routed:
    return route_to_container();
  }
  return {};
}

Result<void> Neighbours::leave() {
  if (program_) {
    const Fd program = std::move(program_);
    if (auto done = take_away(*trap_, "eth0", Direction::ingress, program); !done)
      return done;
  }
  if (!is_connected_)
    return {};
  is_connected_ = false;
  for (const std::string_view entry : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"})
    if (auto set = trap_->set(entry, "0"); !set)
      return set;
  return trap_->ip("link del pod0\n");
}

} // namespace trap::lab
