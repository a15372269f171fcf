// SPDX-License-Identifier: Apache-2.0
// trap-client's answer to GET /status. Apart from client_part.cpp because JSON is slow to compile.
#include <net/if.h>

#include <fmt/core.h>

#include "client/daemon/client_part.h"
#include "client/daemon/held_redirects.h"
#include "runtime/clock_writer.h"
#include "runtime/endpoint.h"
#include "runtime/status_json.h"

namespace trap::client {

using nlohmann::ordered_json;

namespace {

ordered_json redirects_json(const std::vector<HeldRedirect>& held) {
  auto redirects = ordered_json::array();
  for (const HeldRedirect& redirect : held)
    redirects.push_back({{"service", format_endpoint(redirect.service)},
                         {"local", format_address(redirect.local)},
                         {"backend", format_endpoint(redirect.backend)},
                         {"expires_in_s", redirect.expires_in_s},
                         {"age_s", redirect.age_s},
                         {"learnt_from", redirect.from_reset ? "reset" : "handshake"},
                         {"option_kind", redirect.experimental ? "experimental" : "reserved"},
                         {"connections", redirect.connections},
                         {"connections_unticketed", redirect.unticketed}});
  return redirects;
}

ordered_json fallbacks_json(const std::vector<HeldFallback>& held) {
  auto fallbacks = ordered_json::array();
  for (const HeldFallback& fallback : held)
    fallbacks.push_back({{"service", format_endpoint(fallback.service)},
                         {"local", format_address(fallback.local)},
                         {"expires_in_s", fallback.expires_in_s},
                         {"unticketed", fallback.unticketed},
                         {"served", fallback.served}});
  return fallbacks;
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
  status["redirects"] = redirects_json(read_redirects(redirects_fd_, to_backend_fd_, read_clocks().monotonic_ns));
  status["fallbacks"] = fallbacks_json(read_fallbacks(fallbacks_fd_, read_clocks().monotonic_ns));
}

} // namespace trap::client
