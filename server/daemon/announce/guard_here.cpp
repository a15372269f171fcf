// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/guard_here.h"

#include <algorithm>
#include <cerrno>

#include <bpf/bpf.h>
#include <fmt/core.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <net/if.h>

#include "runtime/attach/xdp_refusal.h"
#include "runtime/nanoseconds.h"
#include "runtime/net/socket_address.h"

namespace trap::server {
namespace {

constexpr std::size_t most_known = 4096;

} // namespace

bool GuardHere::hears(const Endpoint& backend, std::uint64_t now_ns) {
  if (known_.size() >= most_known && !known_.contains(backend))
    known_.clear();
  Own& own = known_[backend];
  if (own.asked_ns == 0 || now_ns - own.asked_ns >= ns_per_s) {
    const auto source = route_source(backend);
    own.is_own = source && trap_address_equal(&*source, &backend.address);
    own.asked_ns = now_ns;
  }
  return own.is_own && program_;
}

int GuardHere::tell(const std::vector<std::uint8_t>& packet) const {
  std::vector<std::uint8_t> frame(ETH_HLEN + packet.size());
  const std::uint16_t protocol = packet.front() >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6;
  frame[ETH_HLEN - 2] = static_cast<std::uint8_t>(protocol >> 8);
  frame[ETH_HLEN - 1] = static_cast<std::uint8_t>(protocol & 0xff);
  std::copy(packet.begin(), packet.end(), frame.begin() + ETH_HLEN);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<__u32>(frame.size());
  options.repeat = 1;
  if (const int failed = bpf_prog_test_run_opts(program_.get(), &options))
    return -failed;
  return options.retval == XDP_DROP ? 0 : EPROTO; // a guard lets no announcement pass
}

std::vector<std::string> GuardHere::problems() const {
  std::vector<std::string> problems;
  if (program_ || attached_xdp(if_nametoindex("lo")).program_id != 0)
    return problems;
  for (const auto& [backend, own] : known_) {
    if (own.is_own)
      problems.push_back(fmt::format(
          "backend {} is at this host, and no trap-guard here shares an interface with "
          "trap-server: "
          "no guard hears its announcements, and clients without a ticket do not come in: name the "
          "same interface in trap-guard's configuration",
          format_endpoint(backend)));
  }
  return problems;
}

} // namespace trap::server
