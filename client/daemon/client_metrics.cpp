// SPDX-License-Identifier: Apache-2.0
// trap-client's families of GET /metrics.
#include <net/if.h>

#include <algorithm>

#include "client/daemon/client_part.h"
#include "runtime/clock_writer.h"
#include "runtime/metrics_common.h"

namespace trap::client {

void ClientPart::measure(Metrics& metrics) {
  const std::string& part = config_.part.part;
  measure_packets(metrics, {part, "", ""}, CounterReader(counters_fd_).read(0));
  for (const std::string& interface : config_.part.interfaces) {
    unsigned index = if_nametoindex(interface.c_str());
    bool attached = index != 0 && std::all_of(std::begin(programs_), std::end(programs_), [&](const Program& program) {
                      return filter_program_id(index, program.hook, program.id) == program.id;
                    });
    measure_interface(metrics, part, interface, attached);
  }
  std::uint64_t now_ns = read_clocks().monotonic_ns;
  double held = 0;
  map_visit<trap_redirect_key, trap_redirect>(
      redirects_fd_, [&](const trap_redirect_key&, const trap_redirect& redirect) { held += redirect.until_ns > now_ns ? 1 : 0; });
  metrics.gauge("trap_redirects_held", "Redirects that still hold", {{"part", part}}, held);
}

} // namespace trap::client
