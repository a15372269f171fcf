// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/enforcement/enforcement.h"

#include <fmt/core.h>

#include "runtime/control/command_words.h"
#include "runtime/nanoseconds.h"

namespace trap::guard {
namespace {

void write_until(trap_guard_settings& settings, std::uint64_t until_ns) {
  __atomic_store_n(&settings.enforced_until_ns, until_ns, __ATOMIC_RELEASE);
}

// A number from 1 to `most`, or 0.
std::uint64_t parse_number(const std::string& text, std::uint64_t most) {
  const auto number = number_in(text);
  return number && *number <= most ? *number : 0;
}

} // namespace

Enforcement enforcement_of(const trap_guard_settings& settings, std::uint64_t monotonic_ns) {
  const std::uint64_t until_ns = __atomic_load_n(&settings.enforced_until_ns, __ATOMIC_ACQUIRE);
  if (until_ns == TRAP_GUARD_ALWAYS)
    return {Mode::enforce, std::nullopt};
  if (until_ns <= monotonic_ns)
    return {Mode::monitor, std::nullopt};
  return {Mode::enforce, (until_ns - monotonic_ns + ns_per_s - 1) / ns_per_s};
}

void set_mode(trap_guard_settings& settings, Mode mode) {
  write_until(settings, mode == Mode::enforce ? TRAP_GUARD_ALWAYS : 0);
}

void enforce_for(trap_guard_settings& settings, std::uint64_t seconds, std::uint64_t monotonic_ns) {
  write_until(settings, monotonic_ns + seconds * ns_per_s);
}

Result<void> confirm(trap_guard_settings& settings, std::uint64_t monotonic_ns) {
  if (enforcement_of(settings, monotonic_ns).mode == Mode::monitor)
    return Error{"nothing to confirm: the guard monitors, because the time ran out or none was "
                 "set: run trapctl guard enforce --confirm 60s"};
  set_mode(settings, Mode::enforce);
  return {};
}

Result<EnforceRequest> parse_enforce(const std::vector<std::string>& words) {
  EnforceRequest request;
  for (std::size_t i = 1; i < words.size();) {
    const std::size_t left = words.size() - i;
    if (words[i] == "force") {
      request.force = true;
      i++;
    } else if (words[i] == "for" && left >= 2) {
      request.seconds = parse_number(words[i + 1], confirm_max_s);
      if (*request.seconds == 0)
        return Error{fmt::format("a confirmation within \"{}\" seconds: write 1 to {}",
                                 words[i + 1], confirm_max_s),
                     ExitCode::usage};
      i += 2;
    } else if (words[i] == "operator" && left >= 3) {
      auto client = parse_address(words[i + 1]);
      if (!client)
        return Error{"operator: " + client.error().message, ExitCode::usage};
      request.operator_client = Endpoint{*client, 0};
      request.operator_port = static_cast<std::uint16_t>(parse_number(words[i + 2], 65535));
      i += 3;
    } else {
      return Error{fmt::format("enforce: \"{}\" is not understood: known are force, for SECONDS, "
                               "operator ADDRESS PORT",
                               words[i]),
                   ExitCode::usage};
    }
  }
  return request;
}

} // namespace trap::guard
