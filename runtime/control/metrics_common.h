// SPDX-License-Identifier: Apache-2.0
// Families of GET /metrics that more than one part has. Every series carries the part, because one
// Prometheus asks all three.
#pragma once

#include <string>
#include <vector>

#include "protocol/keyring.h"
#include "runtime/attach/xdp.h"
#include "runtime/control/metrics.h"
#include "runtime/kernel/counters.h"

namespace trap {

// The owner of counted packets: a service at an address ("203.0.113.10:80"; for a guard "port 80").
// Both empty: no service.
struct MeasuredService {
  std::string part;
  std::string service;
  std::string address;
};

// trap_packets_total and trap_bytes_total. Each verdict that the part can give has a series from
// the start, so that rate() sees the first packet too; without a service, each verdict that needs
// none.
void measure_packets(Metrics& metrics, const MeasuredService& where, const VerdictCounts& counts);

// trap_monitored_packets_total: packets that a part passed because it only monitors.
void measure_monitored(Metrics& metrics, const MeasuredService& where, const VerdictCounts& counts);

// trap_interface_attached: 1 if the interface runs this daemon's program.
void measure_interface(Metrics& metrics, const std::string& part, const std::string& interface,
                       bool attached);
// Ways into the host that no program sees. `accepted`: the configuration accepts them.
void measure_uncovered(Metrics& metrics, const std::string& part,
                       const std::vector<Uncovered>& uncovered, bool accepted);

void measure_interfaces(Metrics& metrics, const std::string& part,
                        const std::vector<XdpState>& states);

// trap_epoch, and trap_epochs_ahead: how many epochs the program can go on without its daemon; -1:
// not even this one. Without an epoch it is the present one, and trap_keys_left_seconds comes with
// it.
void measure_keys(Metrics& metrics, const std::string& part, const trap_keyring& ring);
void measure_keys(Metrics& metrics, const std::string& part, const trap_keyring& ring,
                  std::uint64_t present_epoch);

// Can this part's program give this verdict? By the table of dataplane/verdict.h.
bool can_give(const std::string& part, int verdict);

} // namespace trap
