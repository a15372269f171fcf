// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/redirects/held_redirects.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <tuple>

#include "runtime/kernel/bpf_map.h"
#include "runtime/nanoseconds.h"

namespace trap::client {
namespace {

// Which redirect a connection follows: local address, service, backend.
using Route = std::tuple<Endpoint, Endpoint, Endpoint>;

struct Followers {
  std::uint64_t connections = 0;
  std::uint64_t unticketed = 0;
};

Endpoint endpoint_of(const trap_address& address, __be16 port) {
  return {address, TRAP_FROM_BE16(port)};
}

std::map<Route, Followers> read_followers(int to_backend_fd) {
  std::map<Route, Followers> followers;
  map_visit<trap_tuple, trap_outward>(
      to_backend_fd, [&](const trap_tuple& tuple, const trap_outward& outward) {
        Followers& entry =
            followers[{Endpoint{tuple.local, 0}, endpoint_of(tuple.remote, tuple.remote_port),
                       endpoint_of(outward.backend, outward.port)}];
        entry.connections++;
        entry.unticketed += (outward.flags & TRAP_FLOW_UNTICKETED) != 0;
      });
  return followers;
}

// `redirects` and `fallbacks` have the same keys. Returns how many were given.
Result<std::size_t> forget(int map_fd, const char* name,
                           const std::vector<trap_redirect_key>& keys) {
  for (const trap_redirect_key& key : keys) {
    if (int failed = bpf_map_delete_elem(map_fd, &key); failed && failed != -ENOENT)
      return map_error(name, "delete from", failed);
  }
  return keys.size();
}

} // namespace

std::vector<HeldRedirect> read_redirects(int redirects_fd, int to_backend_fd,
                                         std::uint64_t now_ns) {
  const auto followers = read_followers(to_backend_fd);
  std::vector<HeldRedirect> held;
  map_visit<trap_redirect_key, trap_redirect>(
      redirects_fd, [&](const trap_redirect_key& key, const trap_redirect& redirect) {
        if (redirect.until_ns <= now_ns)
          return;
        HeldRedirect entry = {
            .service = endpoint_of(key.service, key.port),
            .local = key.local,
            .backend = endpoint_of(redirect.backend, redirect.port),
            .age_s = now_ns > redirect.learnt_ns ? (now_ns - redirect.learnt_ns) / ns_per_s : 0,
            .expires_in_s = (redirect.until_ns - now_ns) / ns_per_s,
            .from_reset = (redirect.flags & TRAP_REDIRECT_FROM_RESET) != 0,
            .experimental = (redirect.flags & TRAP_REDIRECT_EXPERIMENTAL) != 0};
        if (auto at = followers.find({Endpoint{entry.local, 0}, entry.service, entry.backend});
            at != followers.end()) {
          entry.connections = at->second.connections;
          entry.unticketed = at->second.unticketed;
        }
        held.push_back(entry);
      });
  std::sort(held.begin(), held.end(), [](const HeldRedirect& a, const HeldRedirect& b) {
    return std::tuple(a.service, Endpoint{a.local, 0}) <
           std::tuple(b.service, Endpoint{b.local, 0});
  });
  return held;
}

Result<std::size_t> forget_redirects(int redirects_fd, const RedirectTest& is_so) {
  std::vector<trap_redirect_key> keys;
  map_visit<trap_redirect_key, trap_redirect>(
      redirects_fd, [&](const trap_redirect_key& key, const trap_redirect& redirect) {
        if (is_so(key.local, endpoint_of(key.service, key.port),
                  endpoint_of(redirect.backend, redirect.port)))
          keys.push_back(key);
      });
  return forget(redirects_fd, "redirects", keys);
}

std::vector<HeldFallback> read_fallbacks(int fallbacks_fd, std::uint64_t now_ns) {
  std::vector<HeldFallback> held;
  map_visit<trap_redirect_key, trap_fallback>(
      fallbacks_fd, [&](const trap_redirect_key& key, const trap_fallback& fallback) {
        if (fallback.until_ns > now_ns && (fallback.flags & ~TRAP_FALLBACK_UNREACHABLE) != 0)
          held.push_back(
              {.service = endpoint_of(key.service, key.port),
               .local = key.local,
               .expires_in_s = (fallback.until_ns - now_ns) / ns_per_s,
               .unticketed = (fallback.flags & TRAP_FALLBACK_UNTICKETED) != 0,
               .served = (fallback.flags & TRAP_FALLBACK_SERVED) != 0,
               .reset = (fallback.flags & TRAP_FALLBACK_RESET) != 0,
               .unconsented = fallback.flags & TRAP_FALLBACK_UNCONSENTED
                                  ? std::optional(endpoint_of(fallback.backend, fallback.port))
                                  : std::nullopt});
      });
  return held;
}

Result<std::size_t> forget_fallbacks(int fallbacks_fd, const FallbackTest& is_so) {
  std::vector<trap_redirect_key> keys;
  map_visit<trap_redirect_key, trap_fallback>(
      fallbacks_fd, [&](const trap_redirect_key& key, const trap_fallback&) {
        if (is_so(key.local, endpoint_of(key.service, key.port)))
          keys.push_back(key);
      });
  return forget(fallbacks_fd, "fallbacks", keys);
}

Result<std::size_t> forget_unconsented(int fallbacks_fd) {
  std::vector<trap_redirect_key> keys;
  map_visit<trap_redirect_key, trap_fallback>(
      fallbacks_fd, [&](const trap_redirect_key& key, const trap_fallback& fallback) {
        if (fallback.flags & TRAP_FALLBACK_UNCONSENTED)
          keys.push_back(key);
      });
  return forget(fallbacks_fd, "fallbacks", keys);
}

} // namespace trap::client
