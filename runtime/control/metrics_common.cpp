// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/metrics_common.h"

#include "runtime/keys/clock_writer.h"
#include "runtime/verdict_text.h"

namespace trap {
namespace {

constexpr char packets_help[] = "Packets by the verdict that their walk ended in "
                                "(docs/packet-walk.md) and what was done with them";
constexpr char bytes_help[] = "Bytes of the frames that came in, and of the answers that went out";

const char* action_name(int verdict) {
  switch (trap_verdict_action(static_cast<trap_verdict>(verdict))) {
  case TRAP_ACTION_PASS:
    return "pass";
  case TRAP_ACTION_DROP:
    return "drop";
  case TRAP_ACTION_REPLY:
    return "reply";
  case TRAP_ACTION_CONSUME:
    return "consume";
  }
  return "unknown";
}

trap_parts bit_of(const std::string& part) {
  return part == "server"  ? TRAP_PARTS_SERVER
         : part == "guard" ? TRAP_PARTS_GUARD
                           : TRAP_PARTS_CLIENT;
}

// Is there to be a series even before the first such packet?
bool is_usual(const MeasuredService& where, int verdict) {
  return can_give(where.part, verdict) &&
         (!where.service.empty() ||
          trap_verdict_about(static_cast<trap_verdict>(verdict)) == TRAP_ABOUT_ANYTHING);
}

Labels labels_of(const MeasuredService& where) {
  return {{"part", where.part}, {"service", where.service}, {"address", where.address}};
}

} // namespace

bool can_give(const std::string& part, int verdict) {
  return (trap_verdict_parts(static_cast<trap_verdict>(verdict)) & bit_of(part)) != 0;
}

void measure_packets(Metrics& metrics, const MeasuredService& where, const VerdictCounts& counts) {
  trap_count sum = {};
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    const trap_count& count = counts[static_cast<std::size_t>(verdict)];
    add_count(sum, count);
    if (count.packets == 0 && !is_usual(where, verdict))
      continue;
    Labels labels = labels_of(where);
    labels.emplace_back("verdict", verdict_name(verdict));
    labels.emplace_back("action", action_name(verdict));
    metrics.counter("trap_packets_total", packets_help, labels, static_cast<double>(count.packets));
  }
  Labels in = labels_of(where);
  in.emplace_back("direction", "in");
  metrics.counter("trap_bytes_total", bytes_help, in, static_cast<double>(sum.bytes_in));
  Labels out = labels_of(where);
  out.emplace_back("direction", "out");
  metrics.counter("trap_bytes_total", bytes_help, out, static_cast<double>(sum.bytes_out));
}

void measure_monitored(Metrics& metrics, const MeasuredService& where,
                       const VerdictCounts& counts) {
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    if (trap_verdict_action(static_cast<trap_verdict>(verdict)) != TRAP_ACTION_DROP)
      continue;
    const trap_count& count = counts[static_cast<std::size_t>(verdict)];
    if (count.packets == 0 && !is_usual(where, verdict))
      continue;
    Labels labels = labels_of(where);
    labels.emplace_back("verdict", verdict_name(verdict));
    metrics.counter("trap_monitored_packets_total",
                    "Packets that passed because the guard only monitors, by the verdict that "
                    "would have dropped them",
                    labels, static_cast<double>(count.packets));
  }
}

void measure_interface(Metrics& metrics, const std::string& part, const std::string& interface,
                       bool attached) {
  metrics.gauge("trap_interface_attached", "1 if the interface runs this daemon's program",
                {{"part", part}, {"interface", interface}}, attached ? 1 : 0);
}

void measure_uncovered(Metrics& metrics, const std::string& part,
                       const std::vector<Uncovered>& uncovered, bool accepted) {
  unsigned open = 0;
  for (const Uncovered& way : uncovered) {
    if (way.is_harmless)
      continue;
    open++;
    metrics.gauge("trap_uncovered",
                  "1 if packets come in by this interface, or out of others, past the part's "
                  "program; 0 if the configuration accepts that",
                  {{"part", part}, {"interface", way.interface}}, accepted ? 0 : 1);
  }
  metrics.gauge("trap_uncovered_ways", "Ways into the host that the part's program does not see",
                {{"part", part}}, open);
}

void measure_interfaces(Metrics& metrics, const std::string& part,
                        const std::vector<XdpState>& states) {
  const auto name = [&](const XdpState& state, const std::vector<std::string>& programs,
                        const char* place) {
    for (const std::string& program : programs)
      metrics.gauge(
          "trap_xdp_programs_beside",
          "1 for each XDP program that packets meet before or behind ours",
          {{"part", part}, {"interface", state.interface}, {"place", place}, {"program", program}},
          1);
  };
  for (const XdpState& state : states) {
    measure_interface(metrics, part, state.interface, state.index != 0 && state.ours);
    name(state, state.before, "before");
    name(state, state.behind, "behind");
  }
}

void measure_keys(Metrics& metrics, const std::string& part, const trap_keyring& ring) {
  const std::uint64_t unix_ns = read_clocks().unix_ns;
  measure_keys(metrics, part, ring, trap_epoch(unix_ns));
  metrics.gauge("trap_keys_left_seconds",
                "How long the keys last if the daemon renews them no more", {{"part", part}},
                key_seconds_left(ring, unix_ns));
}

void measure_keys(Metrics& metrics, const std::string& part, const trap_keyring& ring,
                  std::uint64_t present_epoch) {
  int ahead = -1;
  trap_key key;
  while (ahead < TRAP_KEYRING_SLOTS &&
         trap_keyring_find(&ring, present_epoch + static_cast<std::uint64_t>(ahead + 1), &key))
    ahead++;
  metrics.gauge("trap_epoch", "Present epoch of the keys: Unix time in ns >> 42", {{"part", part}},
                static_cast<double>(present_epoch));
  metrics.gauge("trap_epochs_ahead",
                "Epochs after the present one whose keys are held; -1: not even the present one's",
                {{"part", part}}, ahead);
}

} // namespace trap
