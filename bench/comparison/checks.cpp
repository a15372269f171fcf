// SPDX-License-Identifier: Apache-2.0
#include "bench/comparison/checks.h"

#include <fmt/format.h>

namespace trap::bench {
namespace {

constexpr double loss_of_xdp = 0.001;
constexpr double loss_of_stack = 0.05; // its queues may overflow for a moment
constexpr std::uint64_t strays = 16;   // neighbour discovery, health checks

std::string fault_of_samples(const trap_flood_seen& seen, const Responder& responder) {
  if (seen.wrong_ip_checksums != 0 || seen.wrong_tcp_checksums != 0)
    return fmt::format("of {} answers looked at, {} have a wrong IP and {} a wrong TCP checksum",
                       seen.sampled, seen.wrong_ip_checksums, seen.wrong_tcp_checksums);
  if (responder.role == Role::trap && seen.unfinished_tcp_checksums != 0)
    return fmt::format("{} of {} answers looked at have an unfinished checksum",
                       seen.unfinished_tcp_checksums, seen.sampled);
  if (seen.wrong_numbers != 0)
    return fmt::format("{} of {} answers looked at acknowledge something else", seen.wrong_numbers,
                       seen.sampled);
  return "";
}

} // namespace

std::uint64_t answers_of(const LoopRun& run, const Responder& responder, FloodKind kind) {
  const trap_flood_answer answer = responder.expected.at(kind).answer;
  return answer == TRAP_FLOOD_OTHER ? 0 : run.seen.answers[answer];
}

std::string fault_of(const LoopRun& run, const Responder& responder, FloodKind kind) {
  const trap_flood_answer answer = responder.expected.at(kind).answer;
  const std::uint64_t answered = answers_of(run, responder, kind);
  for (int other = TRAP_FLOOD_OTHER; other < TRAP_FLOOD_ANSWERS; other++)
    if (run.seen.answers[other] > strays && (other != answer || answer == TRAP_FLOOD_OTHER))
      return fmt::format("{} answers of another kind ({})", run.seen.answers[other], other);
  if (answer == TRAP_FLOOD_OTHER)
    return "";
  const bool by_stack = responder.role == Role::peer || responder.role == Role::guest;
  const double loss = by_stack ? loss_of_stack : loss_of_xdp;
  if (static_cast<double>(answered) < static_cast<double>(run.sent) * (1 - loss) ||
      answered > run.sent + strays)
    return fmt::format("{} answers to {} packets", answered, run.sent);
  if (answer == TRAP_FLOOD_SYN_ACK && run.seen.sampled == 0)
    return "no answer was looked at";
  return fault_of_samples(run.seen, responder);
}

} // namespace trap::bench
