// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/plays.h"

namespace trap::lab {
namespace {

std::vector<Scenario> make_catalogue() {
  const DeploymentPlan usual{}, paper{.offer = false}, experimental{.option_kind = "experimental"}, two{.two_backends = true};
  const auto restart = [](Part part, bool violently) { return [=](Scene& scene) { plays::restart(scene, part, violently); }; };
  const auto flood = [](FloodKind kind) { return [=](Scene& scene) { plays::flood(scene, kind); }; };
  return {
      {"download-v4", "first and second download over IPv4, unseen by the application", usual,
       [](Scene& scene) { plays::download(scene, Family::ipv4); }},
      {"download-v6", "first and second download over IPv6, unseen by the application", usual,
       [](Scene& scene) { plays::download(scene, Family::ipv6); }},
      {"paper-mode", "without OFFER the first connection is reset, the second goes straight", paper, plays::paper_mode},
      {"experimental-kind", "the same exchange in option kind 253", experimental,
       [](Scene& scene) {
         for (const Family family : families)
           plays::download(scene, family);
       }},
      {"stranger", "who was not admitted gets no answer from the protected port, and from others as ever", usual, plays::stranger},
      {"unaware", "a client without a module is reset at once", usual, plays::unaware},
      {"announcement", "an announced client is admitted without a ticket", usual, plays::announcement},
      {"neighbours", "ARP, neighbour discovery and ping work at the TRAP host and the service's host", usual, plays::neighbours},
      {"other-ports", "other TCP ports of both hosts are untouched", usual, plays::other_ports},
      {"two-backends", "clients spread over backends by weight, and each keeps its own", two, plays::two_backends},
      {"large-transfers", "100 MB down and up with offloads on", usual, plays::large_transfers},
      {"late-guard", "a guard deployed during a download keeps it, and refuses new strangers", usual, plays::late_guard},
      {"flood-syn", "downloads under SYN floods at both addresses", usual, flood(FloodKind::syn)},
      {"flood-ack", "downloads under ACK floods at both addresses", usual, flood(FloodKind::ack)},
      {"flood-rst", "downloads under RST floods at both addresses", usual, flood(FloodKind::rst)},
      {"flood-fin", "downloads under FIN floods at both addresses", usual, flood(FloodKind::fin)},
      {"kill-server", "SIGKILL of trap-server in the middle of a download", usual, restart(Part::server, true)},
      {"kill-guard", "SIGKILL of trap-guard in the middle of a download", usual, restart(Part::guard, true)},
      {"kill-client", "SIGKILL of trap-client in the middle of a download", usual, restart(Part::client, true)},
      {"stop-server", "stop and start of trap-server in the middle of a download", usual, restart(Part::server, false)},
      {"stop-guard", "stop and start of trap-guard in the middle of a download", usual, restart(Part::guard, false)},
      {"stop-client", "stop and start of trap-client in the middle of a download", usual, restart(Part::client, false)},
      {"detach", "--detach leaves nothing of TRAP behind", usual, plays::detach},
  };
}

} // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> catalogue = make_catalogue();
  return catalogue;
}

} // namespace trap::lab
