// SPDX-License-Identifier: Apache-2.0
// The scenarios' bodies, one file each (or one for a few that belong together); catalogue.cpp lists
// them.
#pragma once

#include <string_view>

#include "lab/bpf/middlebox.h"
#include "lab/scenarios/scene.h"
#include "lab/traffic/flood_packet.h"

namespace trap::lab::scenario {

void download(Scene& scene, Family family);            // download.cpp
void paper_mode(Scene& scene);                         // paper_mode.cpp
void stranger(Scene& scene);                           // outsiders.cpp
void unaware(Scene& scene);                            // outsiders.cpp
void flood(Scene& scene, FloodKind kind);              // floods.cpp
void restart(Scene& scene, Part part, bool violently); // restarts.cpp
void announcement(Scene& scene);                       // announcement.cpp
void neighbours(Scene& scene);                         // bystanders.cpp
void other_ports(Scene& scene);                        // bystanders.cpp
void late_guard(Scene& scene);                         // late_guard.cpp
void large_transfers(Scene& scene);                    // large_transfers.cpp
void two_backends(Scene& scene);                       // two_backends.cpp
void fleet(Scene& scene);                              // fleet.cpp
void detach(Scene& scene);                             // detach.cpp
void served(Scene& scene);                             // served.cpp
void one_host(Scene& scene);                           // served.cpp
void peace(Scene& scene);                              // peace.cpp
void idle(Scene& scene);                               // idle.cpp
void backends(Scene& scene);                           // backends.cpp
void policies(Scene& scene);                           // policies.cpp
void reload(Scene& scene);                             // reloads.cpp
void upgrade(Scene& scene);                            // reloads.cpp
void budgets(Scene& scene);                            // budgets.cpp
void applications(Scene& scene);                       // applications.cpp
void sockets(Scene& scene);                            // sockets.cpp
void visibility(Scene& scene);                         // visibility.cpp
void probes(Scene& scene);                             // probes.cpp
void scans(Scene& scene);                              // scans.cpp
void tickets(Scene& scene);                            // forgeries.cpp
void announcements(Scene& scene);                      // forgeries.cpp
void evasions(Scene& scene);                           // evasions.cpp
void million(Scene& scene);                            // million.cpp
void invited_flood(Scene& scene);                      // invited_flood.cpp
void jumbo(Scene& scene);                              // jumbo.cpp
void icmp(Scene& scene);                               // icmp.cpp
void elsewhere(Scene& scene);                          // elsewhere.cpp
void guard_modes(Scene& scene);                        // guard_modes.cpp
void guard_reload(Scene& scene);                       // guard_modes.cpp
void interfaces(Scene& scene);                         // interfaces.cpp
void tunnel_interface(Scene& scene);                   // interfaces.cpp
void links(Scene& scene);                              // links.cpp
void other_filters(Scene& scene);                      // other_filters.cpp
void trust(Scene& scene);                              // trust.cpp
void renewal(Scene& scene);                            // renewal.cpp
void translation(Scene& scene);                        // lans.cpp
void forwarding(Scene& scene);                         // lans.cpp
void bridge(Scene& scene);                             // lans.cpp
void containers(Scene& scene);                         // lans.cpp
void offerless(Scene& scene);                          // middleboxes.cpp
void losses(Scene& scene, std::uint32_t percent);      // middleboxes.cpp
void middlebox_goes(Scene& scene);                     // middleboxes.cpp
void reordering(Scene& scene);                         // middleboxes.cpp
void narrow_link(Scene& scene);                        // narrow_link.cpp
void dead_services(Scene& scene);                      // recovery.cpp
void expiry(Scene& scene);                             // recovery.cpp
void new_keys(Scene& scene);                           // recovery.cpp
void crowded_client(Scene& scene);                     // crowded_client.cpp

// What a middlebox does, and by which way connections get through it.
struct Habit {
  std::string_view does;
  std::uint32_t flags;            // LAB_*
  lab_counter counter = LAB_SYNS; // that goes up when it does it
  std::uint64_t first_syns =
      0; // at most, of the first connection to a service; later ones have one
  std::string_view first_verdict{}; // of the client, among others
  std::string_view later_verdict{};
};

void middlebox(Scene& scene, const Habit& habit); // middleboxes.cpp

} // namespace trap::lab::scenario
