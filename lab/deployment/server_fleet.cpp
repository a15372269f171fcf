// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/server_fleet.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <fmt/format.h>

#include "lab/bpf/spray.h"
#include "lab/programs/dial.h"
#include "lab_spray.skel.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::uint8_t first_number = 0x40; // in MAC addresses, behind those of topology.cpp
constexpr std::string_view ipv6_hop =
    "fe80::7"; // of every server: equal-cost routes of IPv6 must name a gateway
constexpr milliseconds before_loss{1500}, until_noticed{300}, after_loss{3000};

std::string host_name(int number) {
  return fmt::format("trap-{}", number + 1);
}

MacAddress mac_of(int number, bool routers) {
  return {0x02,
          0,
          0,
          0,
          static_cast<std::uint8_t>(first_number + number),
          static_cast<std::uint8_t>(routers ? 1 : 2)};
}

// The router never resolves the public address: whatever server is lost, the others are reached.
std::string fixed_neighbours(std::string_view interface, const MacAddress& mac) {
  const HostAddresses& trap = addresses_of("trap");
  std::string lines;
  for (const Family family : families)
    lines += fmt::format("neighbour replace {} lladdr {} nud permanent dev {}\n",
                         trap.address(family), text_of(mac), interface);
  return lines + fmt::format("neighbour replace {} lladdr {} nud permanent dev {}\n", ipv6_hop,
                             text_of(mac), interface);
}

std::string host_lines(int number) {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("address add {0}/32 dev eth0\n"
                     "address add {1}/128 dev eth0 nodad\n"
                     "link set eth0 up\n"
                     "neighbour add {2} lladdr {4} nud permanent dev eth0\n"
                     "neighbour add {3} lladdr {4} nud permanent dev eth0\n"
                     "route add default via {2} dev eth0 onlink\n"
                     "route add ::/0 via {3} dev eth0 onlink\n",
                     trap.ipv4, trap.ipv6, trap.ipv4_gateway, trap.ipv6_gateway,
                     text_of(mac_of(number, true)));
}

unsigned index_in(const Host& host, const std::string& interface) {
  const InHost inside{host};
  return inside.entered() ? if_nametoindex(interface.c_str()) : 0;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

ServerFleet::~ServerFleet() {
  lab_spray__destroy(spray_);
}

Result<std::unique_ptr<ServerFleet>> ServerFleet::start(Deployment& deployment) {
  std::unique_ptr<ServerFleet> fleet{new ServerFleet(deployment)};
  if (auto fixed = fleet->router().ip(fixed_neighbours("trap", addresses_of("trap").mac())); !fixed)
    return fixed.error();
  for (int number = 1; number < size; number++)
    if (auto added = fleet->add_host(number); !added)
      return added.error();
  if (auto attached = fleet->attach_spray(); !attached)
    return attached.error();
  return fleet;
}

Result<void> ServerFleet::add_host(int number) {
  auto created = Host::create(host_name(number));
  if (!created)
    return created.error();
  hosts_.push_back(std::make_unique<Host>(std::move(*created)));
  const Host& host = *hosts_.back();
  const std::string lines = fmt::format("link add {0} address {1} type veth peer name eth0 address "
                                        "{2} netns {3}\nlink set {0} up\n",
                                        host.name(), text_of(mac_of(number, true)),
                                        text_of(mac_of(number, false)), host.namespace_name()) +
                            fixed_neighbours(host.name(), mac_of(number, false));
  if (auto done = router().ip(lines); !done)
    return done;
  if (auto done = host.ip(host_lines(number)); !done)
    return done;
  if (auto attached = deployment_->topology().attach_pass_program(host.name()); !attached)
    return attached;
  auto daemon = Daemon::prepare(DaemonKind::server, host, server_text(deployment_->plan()));
  if (!daemon)
    return daemon.error();
  daemons_.push_back(std::make_unique<Daemon>(std::move(*daemon)));
  return daemons_.back()->start();
}

Result<void> ServerFleet::attach_spray() {
  const InHost inside{router()};
  spray_ = lab_spray__open_and_load();
  if (!inside.entered() || spray_ == nullptr)
    return Error{"cannot load the program that sprays: " + error_text(errno)};
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(if_nametoindex("trap")),
              .attach_point = BPF_TC_EGRESS);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf_program__fd(spray_->progs.lab_spray));
  if (int failed = bpf_tc_hook_create(&hook); failed != 0 && failed != -EEXIST)
    return Error{"cannot prepare the router's interface for the program that sprays: " +
                 error_text(-failed)};
  if (int failed = bpf_tc_attach(&hook, &options); failed != 0)
    return Error{"cannot attach the program that sprays: " + error_text(-failed)};
  lab_spray_order& order = spray_->bss->order;
  for (int number = 1; number < size; number++) {
    lab_spray_member& member = order.members[number];
    member.interface = index_in(router(), host_name(number));
    std::ranges::copy(mac_of(number, false), member.to);
    std::ranges::copy(mac_of(number, true), member.from);
  }
  return {};
}

void ServerFleet::set_members(int count) {
  __atomic_store_n(&spray_->bss->order.count, static_cast<__u32>(count), __ATOMIC_RELEASE);
}

// Equal-cost routes to the first `members` servers; 1 is as the lab was.
Result<void> ServerFleet::route(int members) {
  const HostAddresses& trap = addresses_of("trap");
  for (const Family family : families) {
    const std::string via =
        family == Family::ipv6 && members > 1 ? fmt::format(" via {}", ipv6_hop) : "";
    std::string hops = fmt::format("{}{} dev trap", members > 1 ? " nexthop" : "", via);
    for (int number = 1; number < members; number++)
      hops += fmt::format(" nexthop{} dev {}", via, host_name(number));
    if (auto done = router().ip(fmt::format("route replace {}/{}{}\n", trap.address(family),
                                            family == Family::ipv4 ? 32 : 128, hops));
        !done)
      return done;
    // Ports count, or a client has one server for all its connections.
    if (members > 1)
      if (auto set = router().set(
              fmt::format("{}/fib_multipath_hash_policy", family == Family::ipv4 ? "ipv4" : "ipv6"),
              "1");
          !set)
        return set;
  }
  return {};
}

bool ServerFleet::kernel_has_ecmp() {
  return access("/proc/sys/net/ipv4/fib_multipath_hash_policy", F_OK) == 0;
}

Result<void> ServerFleet::spread(Spreading how) {
  how_ = how;
  set_members(how == Spreading::spray ? size : 0);
  return route(how == Spreading::ecmp ? size : 1);
}

Result<std::array<Counters, ServerFleet::size>> ServerFleet::counters() {
  std::array<Counters, size> all;
  for (int number = 0; number < size; number++) {
    auto counters = number == 0 ? deployment_->server().counters()
                                : daemons_[static_cast<std::size_t>(number) - 1]->counters();
    if (!counters)
      return counters.error();
    all[static_cast<std::size_t>(number)] = std::move(*counters);
  }
  return all;
}

Result<void> ServerFleet::lose_last() {
  daemons_.back()->kill();
  return hosts_.back()->ip("link set eth0 down\n");
}

Result<void> ServerFleet::withdraw_last() {
  if (how_ == Spreading::ecmp)
    return route(size - 1);
  set_members(size - 1);
  return {};
}

double FleetLoad::slowest_s() const {
  return seconds.empty() ? 0 : *std::ranges::max_element(seconds);
}

std::string FleetLoad::text() const {
  return fmt::format("{} connections, {} failed, the slowest took {:.3f} s{}{}",
                     seconds.size() + static_cast<std::size_t>(failures), failures, slowest_s(),
                     first_failure.empty() ? "" : "; ", first_failure);
}

FleetLoad ask_each_time(Deployment& deployment, Family family, int count,
                        const std::atomic<bool>& enough) {
  FleetLoad load;
  const Host& client = deployment.topology().host("client");
  const std::string service = endpoint(addresses_of("trap").address(family), service_port);
  for (int done = 0; count > 0 ? done < count : !enough; done++) {
    if (auto flushed = deployment.client().control({"redirects", "flush"}); !flushed) {
      load.failures++;
      load.first_failure = flushed.error().message;
      return load;
    }
    const auto start = std::chrono::steady_clock::now();
    const auto reply =
        dial(client, addresses_of("trap").address(family), service_port, "/small.txt", {});
    if (reply && reply->text.find("service") != std::string::npos) {
      load.seconds.push_back(seconds_since(start));
      continue;
    }
    if (load.failures++ == 0)
      load.first_failure = reply ? "it was answered " + reply->text : reply.error().message;
  }
  return load;
}

std::array<FleetLoad, 2> lose_last_under_load(Deployment& deployment, ServerFleet& fleet) {
  std::array<FleetLoad, 2> loads;
  std::atomic<bool> enough = false;
  std::thread ipv4([&] { loads[0] = ask_each_time(deployment, Family::ipv4, 0, enough); });
  std::thread ipv6([&] { loads[1] = ask_each_time(deployment, Family::ipv6, 0, enough); });
  std::string error;
  const auto note = [&](const Result<void>& result) {
    if (!result)
      error = result.error().message;
  };
  std::this_thread::sleep_for(before_loss);
  note(fleet.lose_last());
  std::this_thread::sleep_for(until_noticed);
  note(fleet.withdraw_last());
  std::this_thread::sleep_for(after_loss);
  enough = true;
  ipv4.join();
  ipv6.join();
  if (!error.empty())
    loads[0] = {{}, 1, error};
  return loads;
}

} // namespace trap::lab
