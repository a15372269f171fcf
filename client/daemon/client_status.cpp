// SPDX-License-Identifier: Apache-2.0
// trap-client's answer to GET /status. Apart from client_part.cpp because JSON is slow to compile.
#include <net/if.h>

#include <fmt/core.h>

#include "client/daemon/client_part.h"
#include "runtime/clock_writer.h"
#include "runtime/endpoint.h"
#include "runtime/status_json.h"

namespace trap::client {

using nlohmann::ordered_json;

namespace {

constexpr std::uint64_t kNsPerS = 1000000000;

// Redirects that still hold.
ordered_json redirects_json(int redirects_fd, std::uint64_t now_ns) {
  auto redirects = ordered_json::array();
  map_visit<trap_redirect_key, trap_redirect>(redirects_fd, [&](const trap_redirect_key& key, const trap_redirect& redirect) {
    if (redirect.until_ns <= now_ns)
      return;
    redirects.push_back({{"service", format_endpoint({key.service, TRAP_FROM_BE16(key.port)})},
                         {"local", format_address(key.local)},
                         {"backend", format_endpoint({redirect.backend, TRAP_FROM_BE16(redirect.port)})},
                         {"expires_in_s", (redirect.until_ns - now_ns) / kNsPerS}});
  });
  return redirects;
}

} // namespace

void ClientPart::describe(ordered_json& status, std::vector<std::string>& problems) {
  auto interfaces = ordered_json::array();
  for (const std::string& interface : config_.part.interfaces) {
    unsigned index = if_nametoindex(interface.c_str());
    ordered_json entry = {{"name", interface}, {"index", index}};
    if (index == 0)
      problems.push_back(fmt::format("interface {} is gone", interface));
    for (const Program& program : programs_) {
      __u32 id = index ? filter_program_id(index, program.hook, program.id) : 0;
      entry[std::string(direction_name(program.hook.direction)) + "_program_id"] = id;
      if (index != 0 && id != program.id)
        problems.push_back(fmt::format("interface {} has not this daemon's {} filter", interface, direction_name(program.hook.direction)));
    }
    interfaces.push_back(entry);
  }
  status["interfaces"] = interfaces;
  status["allow_private_targets"] = config_.allow_private_targets;
  status["counters"] = counters_json(CounterReader(counters_fd_).read(0));
  status["redirects"] = redirects_json(redirects_fd_, read_clocks().monotonic_ns);
}

} // namespace trap::client
