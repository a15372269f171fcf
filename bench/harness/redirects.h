// SPDX-License-Identifier: Apache-2.0
// The redirects that trap-client on a host of the lab has learnt.
#pragma once

#include "lab/hosts/host.h"
#include "runtime/fd.h"

namespace trap::bench {

class Redirects {
public:
  // trap-client must be at work on `client`.
  explicit Redirects(const lab::Host& client);
  // The next connection of every service is a first one.
  void forget() const;

private:
  Fd map_;
};

} // namespace trap::bench
