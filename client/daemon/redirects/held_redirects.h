// SPDX-License-Identifier: Apache-2.0
// The redirects that trap-client has learnt, read from its maps, with the connections that follow
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/maps.h"
#include "runtime/config/endpoint.h"
#include "runtime/result.h"

namespace trap::client {

struct HeldRedirect {
  Endpoint service;
  trap_address local = {};
  Endpoint backend;
  std::uint64_t age_s = 0;
  std::uint64_t expires_in_s = 0;
  bool from_reset = false;   // the application saw the reset that taught it
  bool experimental = false; // option kind 253
  std::uint64_t connections =
      0; // in the table of translated ones, where ended ones stay until their room is needed
  std::uint64_t unticketed = 0; // of them: those whose SYNs with the ticket stayed unanswered
};

// Redirects that hold at `now_ns` of the monotonic clock, by service.
std::vector<HeldRedirect> read_redirects(int redirects_fd, int to_backend_fd, std::uint64_t now_ns);

// Forgets redirects of which this is so; returns how many there were. Connections that follow them
// live on.
using RedirectTest = std::function<bool(const trap_address& local, const Endpoint& service,
                                        const Endpoint& backend)>;
Result<std::size_t> forget_redirects(int redirects_fd, const RedirectTest& is_so);

// A way to a service that did not work, and is not tried first for a while.
struct HeldFallback {
  Endpoint service;
  trap_address local = {};
  std::uint64_t expires_in_s = 0;
  bool unticketed = false; // SYNs got through without their ticket only
  bool served = false;     // redirects led nowhere: its connections are left to the TRAP server
  bool reset = false;      // none came: the same at a TRAP server that resets
  std::optional<Endpoint> unconsented{}; // the backend that answered without CONSENT
};

std::vector<HeldFallback> read_fallbacks(int fallbacks_fd, std::uint64_t now_ns);

// Forgets fallbacks of which this is so; returns how many there were.
using FallbackTest = std::function<bool(const trap_address& local, const Endpoint& service)>;
Result<std::size_t> forget_fallbacks(int fallbacks_fd, const FallbackTest& is_so);

// Forgets all that say that a target did not consent.
Result<std::size_t> forget_unconsented(int fallbacks_fd);

} // namespace trap::client
