// SPDX-License-Identifier: Apache-2.0
// The redirects that trap-client on a host of the lab has learnt.
#pragma once

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::bench {

class Redirects {
public:
  // trap-client must be at work on `client`.
  static Result<Redirects> open(const lab::Host& client);
  // The next connection of every service is a first one.
  void forget() const;

private:
  explicit Redirects(Fd map) : map_(std::move(map)) {}
  Fd map_;
};

} // namespace trap::bench
