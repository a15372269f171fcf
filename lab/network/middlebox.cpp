// SPDX-License-Identifier: Apache-2.0
#include "lab/network/middlebox.h"

#include <utility>

#include <arpa/inet.h>
#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lab_middlebox.skel.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view talkers[] = {"client", "trap", "service", "service-2"};

// A middlebox sees what is on the wire: no segments that a card would still cut up, no checksums
// that it would still compute.
Result<void> switch_offloads_off(const Topology& topology) {
  for (const std::string_view name : talkers) {
    auto done = run_checked(topology.host(name).command(
                                {"ethtool", "-K", "eth0", "tso", "off", "gso", "off", "tx", "off"}),
                            milliseconds{5000});
    if (!done)
      return done.error();
  }
  return {};
}

lab_mischief mischief_of(std::uint32_t habits, std::uint32_t loss_percent) {
  lab_mischief mischief{};
  mischief.flags = habits;
  mischief.loss_percent = loss_percent;
  const HostAddresses &client = addresses_of("client"), &trap = addresses_of("trap");
  inet_pton(AF_INET, client.ipv4.data(), &mischief.client_v4);
  inet_pton(AF_INET, trap.ipv4.data(), &mischief.public_v4);
  inet_pton(AF_INET6, client.ipv6.data(), mischief.client_v6);
  inet_pton(AF_INET6, trap.ipv6.data(), mischief.public_v6);
  return mischief;
}

} // namespace

Result<Middlebox> Middlebox::install(const Topology& topology, std::uint32_t habits,
                                     std::uint32_t loss_percent) {
  if (auto off = switch_offloads_off(topology); !off)
    return off.error();
  Middlebox middlebox{topology};
  middlebox.skeleton_ = lab_middlebox__open_and_load();
  if (middlebox.skeleton_ == nullptr)
    return Error{"cannot load the middlebox's program: " + error_text(errno)};
  middlebox.behave(habits, loss_percent);
  if (auto attached = middlebox.attach(); !attached)
    return attached.error();
  return middlebox;
}

Result<void> Middlebox::attach() {
  const InHost inside{topology_->host("router")};
  if (!inside.entered())
    return Error{"cannot enter the router's namespace"};
  for (const HostAddresses& place : address_plan()) {
    const auto index = static_cast<int>(if_nametoindex(std::string{place.host}.c_str()));
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index, .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf_program__fd(skeleton_->progs.lab_middlebox),
                .handle = 1, .priority = 1);
    int failed = bpf_tc_hook_create(&hook);
    interfaces_.push_back(index);
    if (failed == 0 || failed == -EEXIST)
      failed = bpf_tc_attach(&hook, &options);
    if (failed != 0)
      return Error{"cannot attach the middlebox to the router's interface " +
                   std::string{place.host} + ": " + error_text(failed)};
  }
  return {};
}

void Middlebox::behave(std::uint32_t habits, std::uint32_t loss_percent) {
  const __u32 only = 0;
  const lab_mischief mischief = mischief_of(habits, loss_percent);
  bpf_map_update_elem(bpf_map__fd(skeleton_->maps.mischiefs), &only, &mischief, BPF_ANY);
}

std::uint64_t Middlebox::count(lab_counter counter) const {
  const auto key = static_cast<__u32>(counter);
  std::uint64_t value = 0;
  bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.lab_counters), &key, &value);
  return value;
}

Middlebox::Middlebox(Middlebox&& other) noexcept
    : topology_(other.topology_), skeleton_(std::exchange(other.skeleton_, nullptr)),
      interfaces_(std::exchange(other.interfaces_, {})) {}

Middlebox::~Middlebox() {
  const InHost inside{topology_->host("router")};
  for (const int index : interfaces_) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
                .attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
    if (inside.entered())
      bpf_tc_hook_destroy(&hook);
  }
  lab_middlebox__destroy(skeleton_);
}

} // namespace trap::lab
