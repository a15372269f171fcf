// SPDX-License-Identifier: Apache-2.0
#include "bench/speed/measurements.h"

#include <cstdio>

#include <fmt/format.h>

#include "bench/harness/use_rigs.h"
#include "server/daemon/plan/selection.h"
#include "tests/support/test_constants.h"

namespace trap::bench {
namespace {

using server::Candidate;

constexpr int backends = 10;
constexpr double tenth = 100.0 / backends;

Result<std::vector<Candidate>> candidates(int count) {
  std::vector<Candidate> list;
  list.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; i++) {
    const auto endpoint = parse_endpoint(fmt::format("198.51.100.{}:80", 20 + i));
    if (!endpoint)
      return endpoint.error();
    list.push_back({*endpoint, 1, static_cast<std::uint16_t>(i)});
  }
  return list;
}

struct Churn {
  double moved_percent = 0;
  double needless_percent = 0; // from a backend that stays to another that was there before
};

// Clients are spread over the table's slots evenly, by a keyed hash: a share of slots is a share of
// clients.
Churn between(const trap_key& key, const std::vector<Candidate>& before,
              const std::vector<Candidate>& after, int changed) {
  trap_selection old_table{}, new_table{};
  server::fill_selection(old_table, key, before);
  server::fill_selection(new_table, key, after);
  Churn churn;
  for (int slot = 0; slot < TRAP_SELECTION_SLOTS; slot++) {
    const int old_backend = old_table.backends[slot], new_backend = new_table.backends[slot];
    if (old_backend == new_backend)
      continue;
    churn.moved_percent += 100.0 / TRAP_SELECTION_SLOTS;
    if (old_backend != changed && new_backend != changed)
      churn.needless_percent += 100.0 / TRAP_SELECTION_SLOTS;
  }
  return churn;
}

void tell(const char* what, const Churn& churn, Report& report) {
  std::printf("one of ten backends %s: %.1f%% of the clients move, %.1f%% needlessly\n", what,
              churn.moved_percent, churn.needless_percent);
  Line line{fmt::format("backend-{}", what),
            "trap-server",
            0,
            "clients_moved",
            "%",
            churn.moved_percent,
            churn.moved_percent,
            churn.moved_percent};
  line.more = {{"needlessly", churn.needless_percent}};
  report.add(std::move(line));
  report.add(Target{fmt::format("one of ten backends {}: clients moved", what), churn.moved_percent,
                    Bound::at_most, 1.2 * tenth, "%"});
  report.add(Target{fmt::format("one of ten backends {}: clients moved needlessly", what),
                    churn.needless_percent, Bound::at_most, 0, "%"});
}

} // namespace

Result<void> measure_backend_churn(Report& report) {
  const auto key =
      use_rigs([]() -> Result<trap_key> { return test::TestConstants().selector_key(); });
  if (!key)
    return key.error();
  const auto ten = candidates(backends);
  if (!ten)
    return ten.error();
  std::vector<Candidate> nine = *ten;
  nine.erase(nine.begin() + 4);
  tell("leaves", between(*key, *ten, nine, 4), report);
  tell("joins", between(*key, nine, *ten, 4), report);
  return {};
}

} // namespace trap::bench
