// SPDX-License-Identifier: Apache-2.0
#include "lab/network/topology.h"

#include <utility>

#include <net/if.h>

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>

#include "lab_pass.skel.h"

namespace trap::lab {
namespace {

constexpr std::string_view drawing = R"(
   client 192.0.2.2          stranger 192.0.2.66      attacker 192.0.2.130
   2001:db8:2::2             2001:db8:66::2           2001:db8:bad::2
   trap-client, curl         curl, nothing else       floods
        |                         |                        |
   -----+-------------------------+------------------------+-----  router (no route out of the lab)
        |                         |                        |
   trap 203.0.113.10         service 198.51.100.20    plain 198.51.100.52
   2001:db8:113::10          2001:db8:51::20          2001:db8:53::20
   trap-server               trap-guard, nginx        nginx, unprotected
   the public address        the real service         for comparison
)";

std::string router_lines(const HostAddresses& place) {
  const std::string host_namespace = std::string{namespace_prefix} + std::string{place.host};
  return fmt::format("link add {0} address {1} type veth peer name eth0 address {2} netns {3}\n"
                     "address add {4}/{5} dev {0}\n"
                     "address add {6}/64 dev {0} nodad\n"
                     "link set {0} up\n",
                     place.host, text_of(place.router_mac()), text_of(place.mac()), host_namespace,
                     place.ipv4_gateway, place.ipv4_prefix, place.ipv6_gateway);
}

std::string host_lines(const HostAddresses& place) {
  return fmt::format("address add {}/{} dev eth0\n"
                     "address add {}/64 dev eth0 nodad\n"
                     "link set eth0 up\n"
                     "route add default via {}\n"
                     "route add ::/0 via {}\n",
                     place.ipv4, place.ipv4_prefix, place.ipv6, place.ipv4_gateway,
                     place.ipv6_gateway);
}

// The TRAP host speaks to the service hosts from an address of its own: relays and health checks,
// which their guards trust.
std::string inner_lines() {
  const HostAddresses& trap = addresses_of("trap");
  std::string lines = fmt::format("address add {}/32 dev eth0\naddress add {}/128 dev eth0 nodad\n",
                                  inner_ipv4, inner_ipv6);
  for (const std::string_view network : {"198.51.100.16/28", "198.51.100.32/28"})
    lines += fmt::format("route add {} via {} src {}\n", network, trap.ipv4_gateway, inner_ipv4);
  for (const std::string_view network : {"2001:db8:51::/64", "2001:db8:52::/64"})
    lines += fmt::format("route add {} via {} src {}\n", network, trap.ipv6_gateway, inner_ipv6);
  return lines;
}

// As an operator's edge does: no host outside may send from the address that guards trust.
Result<void> guard_the_edge(const Host& router) {
  for (const std::string_view outside : {"client", "stranger", "attacker"})
    for (const auto& [family, inner] : {std::pair{"-4", inner_ipv4}, std::pair{"-6", inner_ipv6}})
      if (auto done =
              router.ip(fmt::format("rule add iif {} from {} blackhole\n", outside, inner), family);
          !done)
        return done;
  return {};
}

Result<void> prepare_router(const Host& router) {
  for (const std::string_view entry :
       {"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/default/forwarding"})
    if (auto set = router.set(entry, "1"); !set)
      return set;
  if (auto done = guard_the_edge(router); !done)
    return done;
  return router.ip("route add blackhole default\nroute add blackhole ::/0\n");
}

int quiet(libbpf_print_level, const char*, va_list) {
  return 0;
}

} // namespace

Result<Topology> Topology::build() {
  Topology topology; // from here on its destructor cleans up
  if (auto created = topology.create_hosts(); !created)
    return created.error();
  if (auto connected = topology.connect(); !connected)
    return connected.error();
  return topology;
}

Result<void> Topology::create_hosts() {
  auto router = Host::create("router");
  if (!router)
    return router.error();
  hosts_.emplace("router", std::move(*router));
  for (const HostAddresses& place : address_plan()) {
    auto made = Host::create(place.host);
    if (!made)
      return made.error();
    hosts_.emplace(std::string{place.host}, std::move(*made));
  }
  return {};
}

Result<void> Topology::connect() {
  const Host& router = host("router");
  if (auto prepared = prepare_router(router); !prepared)
    return prepared;
  std::string lines;
  for (const HostAddresses& place : address_plan())
    lines += router_lines(place);
  if (auto done = router.ip(lines); !done)
    return done;
  for (const HostAddresses& place : address_plan())
    if (auto done = host(place.host).ip(host_lines(place)); !done)
      return done;
  if (auto done = host("trap").ip(inner_lines()); !done)
    return done;
  return attach_pass_program("trap");
}

Result<void> Topology::attach_pass_program(std::string_view host) const {
  return pass_frames(this->host("router"), host);
}

// The program stays attached when its descriptors close, and goes with the namespace.
Result<void> pass_frames(const Host& host, std::string_view interface) {
  const InHost inside{host};
  if (!inside.entered())
    return Error{fmt::format("cannot enter the namespace of {}", host.name())};
  libbpf_set_print(quiet);
  lab_pass* skeleton = lab_pass__open_and_load();
  if (skeleton == nullptr)
    return Error{"cannot load the pass-through XDP program: " + error_text(errno)};
  const int index = static_cast<int>(if_nametoindex(std::string{interface}.c_str()));
  const int failed =
      bpf_xdp_attach(index, bpf_program__fd(skeleton->progs.lab_pass), XDP_FLAGS_DRV_MODE, nullptr);
  lab_pass__destroy(skeleton);
  if (failed != 0)
    return Error{fmt::format("cannot attach an XDP program to {} of {}: {}", interface, host.name(),
                             error_text(failed))};
  return {};
}

Result<void> Topology::detach_pass_program(std::string_view host) const {
  const InHost inside{this->host("router")};
  const std::string interface { host };
  if (!inside.entered() || bpf_xdp_detach(static_cast<int>(if_nametoindex(interface.c_str())),
                                          XDP_FLAGS_DRV_MODE, nullptr) != 0)
    return Error{"cannot take the XDP program from the router's interface " + interface + ": " +
                 error_text(errno)};
  return {};
}

Topology::Topology(Topology&& other) noexcept
    : owner_(std::exchange(other.owner_, false)), hosts_(std::move(other.hosts_)) {}

Topology::~Topology() {
  if (owner_) {
    hosts_.clear();
    remove_all_hosts();
  }
}

std::string_view topology_drawing() {
  return drawing.substr(1);
}

} // namespace trap::lab
