// SPDX-License-Identifier: Apache-2.0
// Packets that this host takes out of others without an interface of their own, so that no program
// sees them: SRv6, MPLS and IPsec.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <linux/netlink.h>

#include "runtime/net/interface_choice.h"

namespace trap {

// A route that ends or rewrites SRv6 packets, by itself or by one of its next hops (RTM_NEWROUTE).
bool is_seg6local_route(const nlmsghdr& header);

// A state (XFRM_MSG_NEWSA), or a policy for packets that arrive (XFRM_MSG_NEWPOLICY), by which the
// host decrypts packets. Those of an xfrm interface come up by that.
bool is_ipsec_way(const nlmsghdr& header);

class Decapsulation {
public:
  // At most one entry each for seg6, seg6local, mpls and ipsec, of this network namespace.
  std::vector<Uncovered> look();

private:
  // A list may be long: reading it takes at most a hundredth of the time.
  using Clock = std::chrono::steady_clock;
  struct Paced {
    Clock::time_point next;
    std::optional<std::string> reason;
  };
  using Read = std::function<std::optional<std::string>()>;
  static void refresh(Paced& paced, const Read& read);

  Paced seg6local_, ipsec_;
};

} // namespace trap
