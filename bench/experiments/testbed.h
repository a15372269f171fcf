// SPDX-License-Identifier: Apache-2.0
// The lab of the paper's experiments: TRAP before a service, and the same service on a host of its
// own ("plain"), defended in other ways or not at all.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "bench/comparison/responders.h"
#include "lab/deployment/deployment.h"
#include "lab/deployment/redirects.h"
#include "runtime/result.h"

namespace trap::bench {

// The service: a stock nginx, or the paper's server, which sends first.
enum class Serves { documents, greeting };

class Testbed {
public:
  // Servers and defences run on `cpu`. The lab's session must have begun.
  static Result<std::unique_ptr<Testbed>> build(Serves serves, int cpu);

  lab::Deployment& trap() { return *trap_; }
  [[nodiscard]] const lab::Topology& topology() const { return topology_; }
  [[nodiscard]] const lab::Host& host(std::string_view name) const { return topology_.host(name); }
  [[nodiscard]] const lab::Redirects& redirects() const { return *redirects_; }
  [[nodiscard]] Serves serves() const { return serves_; }
  [[nodiscard]] int cpu() const { return cpu_; }

  // The service on "plain", started afresh, without connections of earlier floods. It serves while
  // it is held.
  [[nodiscard]] Result<Held> start_plain() const;
  // trap-server on "plain", which serves all clients of the service there. It is detached when it
  // is released.
  [[nodiscard]] Result<Held> start_trap_on_plain(std::string_view activate = "always");

  // Counters of all parts: "server.", "guard.", "client." (TRAP before the service), "served."
  // (TRAP on "plain"), "stack." and "synproxy." of "plain".
  [[nodiscard]] Result<lab::Counters> counters() const;

private:
  class Served;
  Testbed(Serves serves, int cpu, lab::Topology topology)
      : serves_(serves), cpu_(cpu), topology_(std::move(topology)) {}
  Result<void> start();
  const Serves serves_;
  const int cpu_;
  lab::Topology topology_;
  std::optional<lab::Deployment> trap_;
  Held greeter_; // of the service behind TRAP
  std::optional<lab::Redirects> redirects_;
  lab::Daemon* on_plain_ = nullptr; // while it runs
};

} // namespace trap::bench
