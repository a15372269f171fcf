// SPDX-License-Identifier: Apache-2.0
// The redirects that a lab host's client module has learnt, to be forgotten so that the next
// connection is a first one.
#pragma once

#include "lab/hosts/host.h"
#include "runtime/fd.h"

namespace trap::bench {

class Redirects {
public:
  // trap-client must be at work on `client`.
  explicit Redirects(const lab::Host& client);
  void forget() const;

private:
  Fd map_;
};

} // namespace trap::bench
