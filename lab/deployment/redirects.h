// SPDX-License-Identifier: Apache-2.0
// The redirects that trap-client on a host of the lab has learnt.
#pragma once

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::lab {

class Redirects {
public:
  // trap-client must be at work on `client`.
  static Result<Redirects> open(const Host& client);
  // The next connection of every service is a first one.
  void forget() const;

private:
  Redirects(Fd map, std::size_t key_bytes) : map_(std::move(map)), key_bytes_(key_bytes) {}
  Fd map_;
  std::size_t key_bytes_;
};

} // namespace trap::lab
