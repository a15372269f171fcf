// SPDX-License-Identifier: Apache-2.0
#include <tuple>

#include <fmt/format.h>

#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/scenarios.h"

namespace trap::lab {
namespace {

// The TRAP host serves who has no module through nginx, for one service host.
const DeploymentPlan relayed{.relay = RelayKind::nginx, .guards_trust = true};

DeploymentPlan served(RelayKind relay) {
  DeploymentPlan plan = relayed;
  plan.relay = relay;
  plan.more_services = true;
  plan.kernel_cookies = relay == RelayKind::haproxy;
  return plan;
}

DeploymentPlan peace() {
  DeploymentPlan plan = relayed;
  plan.service_keys = "activate = \"attack\"\nattack_hold_s = 1\n";
  return plan;
}

DeploymentPlan backends() {
  return {
      .two_backends = true,
      .first_weight = 1,
      .guards_trust = true,
      .service_keys =
          "health_interval_ms = 200\nhealth_timeout_ms = 200\nhealth_rise = 2\nhealth_fall = 2\n"};
}

// Every action by prefix, in both families; service-2 is the pool "partners".
DeploymentPlan policies() {
  DeploymentPlan plan = relayed;
  plan.two_backends = true;
  plan.second_pool = "partners";
  for (const auto& [action, prefixes] :
       {std::pair{"deny", R"("192.0.2.64/26", "2001:db8:66::/48")"},
        std::pair{"serve", R"("192.0.2.10", "2001:db8:2::10")"},
        std::pair{"pool", R"("192.0.2.16/28", "2001:db8:2::17/128")"}})
    plan.policies +=
        fmt::format("  [[service.policy]]\n  action = \"{}\"\n{}  prefixes = [{}]\n", action,
                    std::string_view{action} == "pool" ? "  pool = \"partners\"\n" : "", prefixes);
  return plan;
}

DeploymentPlan reloads() {
  DeploymentPlan plan = relayed;
  plan.two_backends = true;
  return plan;
}

DeploymentPlan budgets() {
  DeploymentPlan plan = relayed;
  plan.server_keys = "[budget]\nclient_handshakes_per_s = 5\n";
  return plan;
}

DeploymentPlan applications() {
  DeploymentPlan plan;
  plan.applications = true;
  plan.guards_trust = true; // health checks
  return plan;
}

// A class for each limit; invited_flood.cpp has tickets of their tags.
DeploymentPlan small_classes() {
  DeploymentPlan plan = quiet_plan();
  for (const auto& [name, tag, limit] : {std::tuple{"few-syns", 7, "syns_per_s = 1"},
                                         std::tuple{"few-packets", 8, "packets_per_s = 10"},
                                         std::tuple{"few-bytes", 9, "bytes_per_s = 65536"},
                                         std::tuple{"few-flows", 10, "flows = 5"}})
    plan.guard_keys += fmt::format("[[class]]\nname = \"{}\"\ntags = [{}]\n{}\n", name, tag, limit);
  return plan;
}

DeploymentPlan expiring() {
  DeploymentPlan plan;
  plan.ticket_lifetime_s = 8;
  return plan;
}

// Redirects last for seconds, so that many renewals fit into a scenario.
DeploymentPlan short_lived() {
  DeploymentPlan plan = quiet_plan();
  plan.ticket_lifetime_s = 16;
  return plan;
}

using ScenarioBody = std::function<void(Scene&)>;

ScenarioBody restart(Part part, bool violently) {
  return [=](Scene& scene) { scenario::restart(scene, part, violently); };
}

ScenarioBody middlebox(const scenario::Habit& habit) {
  return [=](Scene& scene) { scenario::middlebox(scene, habit); };
}

ScenarioBody losses(std::uint32_t percent) {
  return [=](Scene& scene) { scenario::losses(scene, percent); };
}

ScenarioBody flood(FloodKind kind) {
  return [=](Scene& scene) { scenario::flood(scene, kind); };
}

std::vector<Scenario> of_the_handover() {
  const DeploymentPlan usual{}, paper{.offer = false}, experimental{.option_kind = "experimental"},
      two{.two_backends = true};
  return {
      {"download-v4", "first and second download over IPv4, unseen by the application", usual,
       [](Scene& scene) { scenario::download(scene, Family::ipv4); }},
      {"download-v6", "first and second download over IPv6, unseen by the application", usual,
       [](Scene& scene) { scenario::download(scene, Family::ipv6); }},
      {"paper-mode", "without OFFER the first connection is reset, the second goes straight", paper,
       scenario::paper_mode},
      {"experimental-kind", "the same exchange in option kind 253", experimental,
       [](Scene& scene) {
         for (const Family family : families)
           scenario::download(scene, family);
       }},
      {"stranger",
       "who was not admitted gets no answer from the protected port, and from others as ever",
       usual, scenario::stranger},
      {"unaware", "a client without a module is reset at once", usual, scenario::unaware},
      {"announcement", "an announced client is admitted without a ticket", usual,
       scenario::announcement},
      {"neighbours",
       "ARP, neighbour discovery and ping work at the TRAP host and the service's host", usual,
       scenario::neighbours},
      {"other-ports", "other TCP ports of both hosts are untouched", usual, scenario::other_ports},
      {"two-backends", "clients spread over backends by weight, and each keeps its own", two,
       scenario::two_backends},
      {"large-transfers", "100 MB down and up with offloads on", usual, scenario::large_transfers},
      {"jumbo", "downloads and uploads in frames of 9000 bytes, through every program",
       quiet_plan(), scenario::jumbo},
      {"late-guard", "a guard deployed during a download keeps it, and refuses new strangers",
       usual, scenario::late_guard},
      {"flood-syn", "downloads under SYN floods at both addresses", usual, flood(FloodKind::syn)},
      {"flood-ack", "downloads under ACK floods at both addresses", usual, flood(FloodKind::ack)},
      {"flood-rst", "downloads under RST floods at both addresses", usual, flood(FloodKind::rst)},
      {"flood-fin", "downloads under FIN floods at both addresses", usual, flood(FloodKind::fin)},
      {"kill-server", "SIGKILL of trap-server in the middle of a download", usual,
       restart(Part::server, true)},
      {"kill-guard", "SIGKILL of trap-guard in the middle of a download", usual,
       restart(Part::guard, true)},
      {"kill-client", "SIGKILL of trap-client in the middle of a download", usual,
       restart(Part::client, true)},
      {"stop-server", "stop and start of trap-server in the middle of a download", usual,
       restart(Part::server, false)},
      {"stop-guard", "stop and start of trap-guard in the middle of a download", usual,
       restart(Part::guard, false)},
      {"stop-client", "stop and start of trap-client in the middle of a download", usual,
       restart(Part::client, false)},
  };
}

std::vector<Scenario> of_the_server() {
  const DeploymentPlan usual{};
  return {
      {"serve-nginx", "unmodified programs are served through nginx during a flood",
       served(RelayKind::nginx), scenario::served},
      {"serve-haproxy",
       "unmodified programs are served through HAProxy and by kernel cookies during a flood",
       served(RelayKind::haproxy), scenario::served},
      {"one-host",
       "TRAP protects nginx and sshd on its own host, without backends",
       {.backends = false, .more_services = true},
       scenario::one_host},
      {"idle",
       "connections older than TRAP, and silent, survive a flood of ACKs",
       {.backends = false, .more_services = true},
       scenario::idle},
      {"peace", "TRAP wakes in an attack and rests after it, and no connection notices", peace(),
       scenario::peace},
      {"backends", "backends die, come back, are drained and activated", backends(),
       scenario::backends},
      {"policies", "client prefixes are denied, served, or led to a pool", policies(),
       scenario::policies},
      {"reload", "fifty reloads during a flood and downloads, and a broken configuration",
       reloads(), scenario::reload},
      {"upgrade", "ten upgrades of trap-server during a flood and downloads", relayed,
       scenario::upgrade},
      {"budgets", "a bot that completes too many handshakes harms nobody else", budgets(),
       scenario::budgets},
      {"applications", "real programs of every kind, through TRAP and at an ordinary server",
       applications(), scenario::applications},
      {"sockets", "non-blocking, Fast Open, MPTCP, bound and repeated ports", usual,
       scenario::sockets},
      {"visibility", "trapctl knock and redirects tell what happens", usual, scenario::visibility},
  };
}

std::vector<Scenario> of_the_guard() {
  const DeploymentPlan usual{};
  return {
      {"probes", "hping3 and every combination of flags get no answer, and never reach the stack",
       quiet_plan(), scenario::probes},
      {"scans", "nmap finds the protected port filtered, and nothing else changed", quiet_plan(),
       scenario::scans},
      {"tickets", "stolen, altered and outdated tickets open nothing", quiet_plan(),
       scenario::tickets},
      {"announcements", "forged, outdated and repeated announcements admit nobody", quiet_plan(),
       scenario::announcements},
      {"evasions", "tags, options, extension headers and fragments hide nothing", quiet_plan(),
       scenario::evasions},
      {"million-sources",
       "a client downloads beside a million invented sources, and the guard drops nothing of it",
       quiet_plan(), scenario::million},
      {"invited-flood",
       "an invited client that floods is held to its class's budgets, and harms nobody else",
       small_classes(), scenario::invited_flood},
      {"guard-modes",
       "monitoring drops nothing and names strangers; enforcing ends by itself, also without the "
       "daemon",
       quiet_plan(), scenario::guard_modes},
      {"icmp", "ICMP errors reach the service only for flows that exist, queries as configured",
       quiet_plan(), scenario::icmp},
      {"elsewhere", "a guard in front of a host behind it, and of a container behind a port",
       quiet_plan(), scenario::elsewhere},
      {"guard-reload", "twenty reloads of the guard during downloads", quiet_plan(),
       scenario::guard_reload},
      {"fleet",
       "three servers share nothing but the master key: SYN and ACK at different ones, one lost "
       "under load",
       usual, scenario::fleet},
  };
}

std::vector<Scenario> of_bad_networks() {
  const DeploymentPlan usual{};
  return {
      {"strip-syn", "a middlebox strips TRAP's option from SYNs: the announcement admits them",
       usual,
       middlebox({"strips TRAP's option from SYNs", LAB_STRIPS_SYN, LAB_STRIPPED, 4,
                  "reply-reissued-syn", "pass-syn-ticketed"})},
      {"strip-syn-ack", "a middlebox strips TRAP's option from SYN-ACKs: connections are served",
       relayed,
       middlebox({"strips TRAP's option from SYN-ACKs", LAB_STRIPS_SYN_ACK, LAB_STRIPPED, 1,
                  "pass-syn-ack-noted", "pass-syn-ack-noted"})},
      {"strip-offer", "the same where the service resets: the paper's way", usual,
       scenario::offerless},
      {"strip-rst", "a middlebox strips TRAP's option from RSTs: connections are served", relayed,
       middlebox({"strips TRAP's option from RSTs", LAB_STRIPS_RST, LAB_STRIPPED, 2,
                  "reply-syn-again", "pass-offer-declined"})},
      {"drop-syn-options", "a middlebox drops SYNs with TRAP's option: they go without", usual,
       middlebox({"drops SYNs with TRAP's option", LAB_DROPS_SYN_OPTIONS, LAB_DROPPED, 4,
                  "pass-syn-unticketed", "pass-syn-unticketed"})},
      {"drop-rst", "a middlebox drops RSTs: connections are served", relayed,
       middlebox({"drops RSTs", LAB_DROPS_RST, LAB_DROPPED, 3, "pass-offer-declined",
                  "pass-offer-declined"})},
      {"cut-off", "nothing but the public address can be reached: connections are served", relayed,
       middlebox({"drops what is not to or from the public address", LAB_CUTS_OFF, LAB_DROPPED, 6,
                  "reply-syn-again", "pass-offer-declined"})},
      {"rewrite-isn", "a middlebox rewrites initial sequence numbers of both sides", usual,
       middlebox({"rewrites sequence numbers", LAB_REWRITES_ISN, LAB_REWRITTEN, 2,
                  "reply-reissued-syn", "pass-syn-ticketed"})},
      {"duplicates", "a network doubles every packet", usual,
       middlebox({"doubles every packet", LAB_DUPLICATES, LAB_DUPLICATED, 2, "reply-reissued-syn",
                  "pass-syn-ticketed"})},
      {"middlebox-goes", "what is remembered of a middlebox costs nothing when it is gone", usual,
       scenario::middlebox_goes},
      {"reorder", "a network swaps packets", usual, scenario::reordering},
      {"losses-1", "a network loses 1% of all packets", usual, losses(1)},
      {"losses-10", "a network loses 10% of all packets", usual, losses(10)},
      {"losses-30", "a network loses 30% of all packets", usual, losses(30)},
      {"narrow-link", "path MTU discovery through redirected connections, up and down", usual,
       scenario::narrow_link},
      {"dead-services", "services that die: their clients find the others by themselves",
       backends(), scenario::dead_services},
      {"expiry", "tickets expire during a connection and between two", expiring(),
       scenario::expiry},
      {"new-keys", "other keys from one moment to the next", usual, scenario::new_keys},
  };
}

std::vector<Scenario> of_the_client() {
  const DeploymentPlan usual{};
  return {
      {"crowded-client", "silent connections of the client outlive any number of new ones", usual,
       scenario::crowded_client},
      {"interfaces",
       "interfaces appear, go and come back, routes and addresses change, and connections live on",
       usual, scenario::interfaces},
      {"tunnel", "the client's way is a tunnel without a link layer", usual,
       scenario::tunnel_interface},
      {"links", "the client's way is a VLAN, a WireGuard tunnel, a PPP line", usual,
       scenario::links},
      {"other-filters", "tc filters of somebody else, before the client's and behind them", usual,
       scenario::other_filters},
      {"trust", "services redirect only where the administrator trusts them", usual,
       scenario::trust},
      {"renewal", "redirects in use are renewed, and no connection waits", short_lived(),
       scenario::renewal},
      {"translation",
       "hosts behind a router that translates and filters reach the service on the first try",
       usual, scenario::translation},
      {"forwarding", "the same where the router only forwards", usual, scenario::forwarding},
      {"bridge", "the same where the client's host is a bridge", usual, scenario::bridge},
      {"containers", "containers behind the rules of a container engine", usual,
       scenario::containers},
      {"detach", "--detach leaves nothing of TRAP behind", usual, scenario::detach},
  };
}

std::vector<Scenario> make_catalogue() {
  std::vector<Scenario> all;
  for (const auto& chapter :
       {of_the_handover(), of_the_server(), of_the_guard(), of_bad_networks(), of_the_client()})
    all.insert(all.end(), chapter.begin(), chapter.end());
  return all;
}

} // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> catalogue = make_catalogue();
  return catalogue;
}

} // namespace trap::lab
