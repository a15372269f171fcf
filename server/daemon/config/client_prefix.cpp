// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/client_prefix.h"

#include <charconv>

#include <fmt/core.h>

namespace trap::server {
namespace {

constexpr unsigned mapped_prefix_bits = 96; // bits of ::ffff:0:0/96

Error usage(std::string message) {
  return Error{std::move(message), ExitCode::usage};
}

} // namespace

Result<ClientPrefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  auto address = parse_address(std::string(text.substr(0, slash)));
  if (!address)
    return usage(fmt::format("{}: write a prefix as 192.0.2.0/24 or 2001:db8::/48",
                             address.error().message));
  const trap_family family = family_of(*address);
  const unsigned longest = family == TRAP_IPV4 ? 32 : 128;
  unsigned written = longest;
  if (slash != std::string_view::npos) {
    const char* end = text.data() + text.size();
    auto [stop, failure] = std::from_chars(text.data() + slash + 1, end, written);
    if (failure != std::errc() || stop != end || written > longest)
      return usage(fmt::format("\"{}\" has no prefix length of 0 to {}", text, longest));
  }
  ClientPrefix prefix{trap_address_mask(*address, family, written),
                      family == TRAP_IPV4 ? written + mapped_prefix_bits : written};
  if (!trap_address_equal(&prefix.address, &*address))
    return usage(fmt::format("\"{}\" has bits set behind its prefix: write {}", text,
                             format_prefix(prefix)));
  return prefix;
}

std::string format_prefix(const ClientPrefix& prefix) {
  const unsigned before = prefix.family() == TRAP_IPV4 ? mapped_prefix_bits : 0;
  return fmt::format("{}/{}", format_address(prefix.address), prefix.bits - before);
}

} // namespace trap::server
