// SPDX-License-Identifier: Apache-2.0
// The defences of the paper's experiments, each with a check of its counters: its figures count
// only if it did the work.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/experiments/testbed.h"

namespace trap::bench {

// Work done while a defence was up.
struct Work {
  std::uint64_t connections = 0; // that were answered
  bool flooded = false;
};

struct Defence {
  std::string name;
  std::string_view client, host; // hosts of the lab: the client's and the server's
  std::function<Result<Held>(Testbed&)> put_up;
  // "" if the counters moved as they must have if this defence did the work, else one line.
  std::function<std::string(const lab::Counters& moved, const Work& work)> fault;
  bool forgets = false; // every connection is the client's first
  std::string why_not_ipv6 = {};
  std::string note = {};         // for readers of its figures
  std::string_view flooded = {}; // host of the lab that the flood is for, if it is not `host`

  [[nodiscard]] std::string url(lab::Family family, std::string_view path) const;
  [[nodiscard]] std::string_view address(lab::Family family) const {
    return lab::addresses_of(host).address(family);
  }
  [[nodiscard]] std::string flooded_host() const {
    return std::string{flooded.empty() ? host : flooded};
  }
  // Before each connection.
  void prepare(const Testbed& testbed) const;
};

Defence undefended(const std::string& name);     // SYN cookies off
Defence trap_at_first(const std::string& name);  // aware client, through the TRAP server each time
Defence trap_later(const std::string& name);     // aware client, straight to the service
Defence trap_served(const std::string& name);    // any client, TRAP on the service's host
Defence kernel_cookies(const std::string& name); // for every SYN
Defence nft_synproxy(const std::string& name);   // on the service's host

Defence trap_known(const std::string& name);    // aware client that has a redirect after its first
Defence guard_flooded(const std::string& name); // the same while the guard is flooded directly

std::vector<Defence> defences_under_attack();
std::vector<Defence> defences_under_rising_attack();

} // namespace trap::bench
