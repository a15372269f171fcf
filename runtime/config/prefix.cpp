// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/prefix.h"

#include <charconv>
#include <optional>

#include <fmt/core.h>

namespace trap {
namespace {

constexpr unsigned mapped_bits = 96; // ::ffff:0:0/96, where IPv4 lives

std::optional<unsigned> parse_length(std::string_view digits, unsigned most) {
  unsigned length = 0;
  auto [stop, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (failure != std::errc() || stop != digits.data() + digits.size() || length > most)
    return std::nullopt;
  return length;
}

bool covers_ipv4(const Prefix& prefix) {
  return prefix.bits < mapped_bits && covers(prefix, trap_address_v4(0));
}

} // namespace

bool covers(const Prefix& prefix, const trap_address& address) {
  const trap_address masked = trap_address_mask(address, TRAP_IPV6, prefix.bits); // of all 128 bits
  return trap_address_equal(&masked, &prefix.address);
}

Result<Prefix> parse_prefix(std::string_view text) {
  const auto wrong = [](std::string message) { return Error{std::move(message), ExitCode::usage}; };
  const auto slash = text.find('/');
  auto address = parse_address(std::string(text.substr(0, slash)));
  if (!address)
    return wrong(fmt::format("{}: write addresses, or prefixes as 192.0.2.0/24 or 2001:db8::/48",
                             address.error().message));
  const trap_family family = family_of(*address);
  const unsigned most = family == TRAP_IPV4 ? 32 : 128;
  const auto length =
      slash == std::string_view::npos ? most : parse_length(text.substr(slash + 1), most);
  if (!length)
    return wrong(fmt::format("\"{}\" has no prefix length of 0 to {}", text, most));
  const Prefix prefix = {trap_address_mask(*address, family, *length),
                         *length + (family == TRAP_IPV4 ? mapped_bits : 0)};
  if (!trap_address_equal(&prefix.address, &*address))
    return wrong(fmt::format("\"{}\" has bits set behind its prefix: write {}", text,
                             format_prefix(prefix)));
  if (covers_ipv4(prefix))
    return wrong(fmt::format(
        "\"{}\" is too short for an IPv6 prefix: addresses of the Internet begin with 2000::/3",
        text));
  return prefix;
}

std::string format_prefix(const Prefix& prefix) {
  const bool v4 = prefix.bits >= mapped_bits && trap_address_is_v4(&prefix.address);
  return fmt::format("{}/{}", format_address(prefix.address),
                     v4 ? prefix.bits - mapped_bits : prefix.bits);
}

} // namespace trap
