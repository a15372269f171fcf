// SPDX-License-Identifier: Apache-2.0
// A middlebox on the lab's router, between the client and everybody else, of any bad habit that
// networks have.
#pragma once

#include <cstdint>
#include <vector>

#include "lab/bpf/middlebox.h"
#include "lab/network/topology.h"
#include "runtime/result.h"

struct lab_middlebox;

namespace trap::lab {

class Middlebox {
public:
  // On the router's interfaces until the end of its life. `habits` are LAB_* of
  // lab/bpf/middlebox.h. Packets of the client and the services come one by one and with whole
  // checksums from then on.
  static Result<Middlebox> install(const Topology& topology, std::uint32_t habits,
                                   std::uint32_t loss_percent = 0);
  Middlebox(Middlebox&& other) noexcept;
  Middlebox& operator=(Middlebox&&) = delete;
  Middlebox(const Middlebox&) = delete;
  Middlebox& operator=(const Middlebox&) = delete;
  ~Middlebox();

  // Other habits from now on.
  void behave(std::uint32_t habits, std::uint32_t loss_percent = 0);

  [[nodiscard]] std::uint64_t count(lab_counter counter) const;

private:
  explicit Middlebox(const Topology& topology) : topology_(&topology) {}
  Result<void> attach();

  const Topology* topology_;
  lab_middlebox* skeleton_ = nullptr;
  std::vector<int> interfaces_;
};

} // namespace trap::lab
