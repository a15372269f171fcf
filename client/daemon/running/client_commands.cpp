// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/running/client_commands.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "client/daemon/redirects/held_redirects.h"
#include "runtime/json_text.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/process/part.h"

namespace trap::client {

Result<std::string> run_client_command(RunningClient& client,
                                       const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "capture")
    return client.captures.command(words, read_clocks().monotonic_ns);
  if (!words.empty() && words[0] == "knock")
    return client.knocks.command(words, KnockDesk::Clock::now());
  if (words.size() < 2 || words.size() > 3 || words[0] != "redirects" || words[1] != "flush")
    return unknown_command(client.active->config.part, words);
  std::optional<Endpoint> service;
  if (words.size() == 3) {
    auto named = parse_endpoint(words[2]);
    if (!named)
      return Error{fmt::format("service {}", named.error().message), ExitCode::usage};
    service = *named;
  }
  const auto is_named = [&](const Endpoint& of) { return !service || of == *service; };
  auto flushed =
      forget_redirects(client.fds.redirects, [&](const trap_address&, const Endpoint& of,
                                                 const Endpoint&) { return is_named(of); });
  if (!flushed)
    return flushed.error();
  auto fallbacks = forget_fallbacks(
      client.fds.fallbacks, [&](const trap_address&, const Endpoint& of) { return is_named(of); });
  if (!fallbacks)
    return fallbacks.error();
  if (service && *flushed + *fallbacks == 0)
    return Error{fmt::format("no redirect of {} is held: see trapctl redirects", words[2]),
                 ExitCode::usage};
  client.redirects_flushed += *flushed;
  log::info("{} redirect(s){} forgotten, by order", *flushed, service ? " of " + words[2] : "");
  return json_text(nlohmann::ordered_json{{"flushed", *flushed}});
}

} // namespace trap::client
