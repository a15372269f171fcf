// SPDX-License-Identifier: Apache-2.0
// The Ethernet addresses that this host takes frames for, and the program's table of them: those of
// its interfaces (with macvlans, and the virtual addresses that VRRP gives them), and those that
// its interfaces take besides, such as for macvlans of containers.
#pragma once

#include <set>
#include <string>

#include "runtime/net/host_networks.h"
#include "runtime/result.h"
#include "server/maps.h"

namespace trap::server {

// Of this network namespace, by rtnetlink.
Result<std::set<LinkAddress>> list_own_macs();

// A table of these addresses. False if they are too many: `table` is undefined then.
bool lay_out(const std::set<LinkAddress>& macs, trap_own_mac_table& table);

class OwnMacs {
public:
  // `listed`: their list of now, or why there is none. Without one, or with too many, the program
  // gives no frame up, and problem() says so.
  void follow(trap_own_macs& map, const Result<std::set<LinkAddress>>& listed);

  std::size_t count() const { return macs_.size(); }
  bool are_known() const { return known_; }
  const std::string& problem() const { return problem_; }

  // One of them, for a packet that nobody has sent; none if they are not known.
  const LinkAddress* any() const { return macs_.empty() ? nullptr : &*macs_.begin(); }

private:
  std::set<LinkAddress> macs_;
  bool known_ = false;
  std::string problem_;
};

} // namespace trap::server
