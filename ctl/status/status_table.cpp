// SPDX-License-Identifier: Apache-2.0
#include "ctl/status/status_table.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "ctl/table.h"
#include "runtime/json_text.h"

namespace trap::ctl {
namespace {

using nlohmann::ordered_json;

void print_rows(const std::vector<Row>& rows, const char* indent) {
  fmt::print("{}", format_rows(rows, indent));
}

std::string duration(double seconds) {
  auto s = static_cast<std::uint64_t>(seconds);
  if (s < 60)
    return fmt::format("{:.1f} s", seconds);
  if (s < 3600)
    return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86400)
    return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string text(const ordered_json& object, const char* key) {
  auto at = object.find(key);
  if (at == object.end())
    return "";
  return at->is_string() ? at->get<std::string>() : json_text(*at);
}

// "2 half-open, 7 established, 1 closing", of a guard's flows.
std::string flow_states_of(const ordered_json& states) {
  return fmt::format("{} half-open, {} established, {} closing", text(states, "half_open"),
                     text(states, "established"), text(states, "closing"));
}

// "one, another".
std::string joined(const ordered_json& texts) {
  std::string all;
  for (const auto& each : texts)
    all += (all.empty() ? "" : ", ") + each.get<std::string>();
  return all;
}

void print_head(const ordered_json& part) {
  std::string head = fmt::format("trap-{}: {}", text(part, "part"), text(part, "state"));
  if (part.contains("version"))
    head += fmt::format(", version {}, pid {}, up {}", text(part, "version"), text(part, "pid"),
                        duration(part.value("uptime_s", 0.0)));
  if (part.contains("guard"))
    head += ", guard " + text(part, "guard");
  if (part.contains("mode"))
    head += part["mode"] == "monitor" ? ", monitors: drops nothing" : ", enforces";
  if (part.contains("confirm_within_s"))
    head += fmt::format(" for {} s unless confirmed", text(part, "confirm_within_s"));
  fmt::print("{}\n", head);
  for (const auto& problem : part.value("problems", ordered_json::array()))
    fmt::print("  problem: {}\n", problem.get<std::string>());
}

std::string tc_text(const ordered_json& interface) {
  if (!interface.value("attached", false))
    return "not attached";
  return fmt::format("tc, programs {} in, {} out{}{}", text(interface, "ingress_program_id"),
                     text(interface, "egress_program_id"),
                     interface.value("side", "") == "lan" ? ", for hosts behind it" : "",
                     interface.value("framing", "") == "ip" ? ", no link layer" : "");
}

std::string xdp_text(const ordered_json& interface) {
  if (text(interface, "xdp_mode") == "tc")
    return fmt::format("tc, program {}", text(interface, "program_id"));
  const std::string xdp =
      fmt::format("XDP {}, program {}", text(interface, "xdp_mode"), text(interface, "program_id"));
  if (!interface.contains("egress_program_id"))
    return xdp;
  return interface["egress_program_id"] == 0
             ? xdp + ", no egress filter"
             : fmt::format("{}, tc out, program {}", xdp, text(interface, "egress_program_id"));
}

void print_interfaces(const ordered_json& part) {
  std::vector<Row> rows;
  for (const auto& interface : part.value("interfaces", ordered_json::array())) {
    Row row = {"interface", text(interface, "name"), "index " + text(interface, "index")};
    if (interface.contains("xdp_mode"))
      row.push_back(xdp_text(interface));
    else
      row.push_back(tc_text(interface));
    if (interface.contains("xdp_before"))
      row.push_back("behind " + joined(interface["xdp_before"]));
    if (interface.contains("xdp_behind"))
      row.push_back("in front of " + joined(interface["xdp_behind"]));
    if (interface.contains("tc_before"))
      row.push_back("behind others at tc: " + joined(interface["tc_before"]));
    rows.push_back(row);
  }
  print_rows(rows, "  ");
}

void print_counters(const ordered_json& owner, const char* indent) {
  std::vector<Row> rows;
  const ordered_json counters = owner.value("counters", ordered_json::object());
  for (const auto& [name, packets] : counters.items())
    rows.push_back({name, fmt::format("{:>14}", json_text(packets))});
  const ordered_json monitored = owner.value("monitored", ordered_json::object());
  for (const auto& [name, packets] : monitored.items())
    rows.push_back({name, fmt::format("{:>14}", json_text(packets)), "passed, would be dropped"});
  print_rows(rows, indent);
}

// ": serves unaware clients, resting: no attack".
std::string conduct_of(const ordered_json& service) {
  std::string conduct;
  if (service.contains("unaware"))
    conduct = text(service, "unaware") == "serve" ? ": serves unaware clients"
                                                  : ": resets unaware clients";
  if (text(service, "activate") == "attack")
    conduct += service.value("active", true) ? ", active" : ", resting";
  if (service.contains("attack") && !text(service["attack"], "reason").empty())
    conduct += " (" + text(service["attack"], "reason") + ")";
  return conduct;
}

Row backend_row(const ordered_json& backend) {
  Row row = {"backend", text(backend, "address"), "guard " + text(backend, "guard"),
             "weight " + text(backend, "weight")};
  if (backend.contains("state"))
    row.push_back(fmt::format("{}, health {}", text(backend, "state"), text(backend, "health")));
  if (const std::string ticket = text(backend, "ticket"); !ticket.empty() && ticket != "untried")
    row.back() += ", tickets " + ticket;
  if (backend.contains("share_percent"))
    row.push_back(fmt::format("{:.1f} % of clients", backend.value("share_percent", 0.0)));
  if (!text(backend, "pool").empty())
    row.push_back("pool " + text(backend, "pool"));
  if (backend.contains("health_error"))
    row.push_back(text(backend, "health_error"));
  return row;
}

std::string tagged_text(const ordered_json& policies) {
  const int tagged = policies.value("tagged", 0);
  return tagged == 0 ? "" : fmt::format(", {} with a tag", tagged);
}

void print_particulars(const ordered_json& service) {
  std::vector<Row> rows;
  if (service.contains("listener") && !service["listener"].is_null())
    rows.push_back({"listener", text(service, "listener")});
  if (text(service, "self_test") == "untested")
    rows.push_back({"self-test", "not tested yet"});
  if (text(service, "self_test") == "unknown")
    rows.push_back({"self-test", "unknown: the stack answers no SYN of a test either, or there is "
                                 "no way to test"});
  if (service.contains("policies")) {
    const ordered_json& policies = service["policies"];
    rows.push_back({"policies", fmt::format("{} prefixes denied, {} served, {} to pools",
                                            policies.value("deny", 0), policies.value("serve", 0),
                                            policies.value("pool", 0)) +
                                    tagged_text(policies)});
  }
  if (service.contains("bytes"))
    rows.push_back({"bytes", fmt::format("in {}, out {}", text(service["bytes"], "in"),
                                         text(service["bytes"], "out"))});
  print_rows(rows, "    ");
}

void print_services(const ordered_json& part) {
  for (const auto& service : part.value("services", ordered_json::array())) {
    std::string where =
        service.contains("address") ? text(service, "address") : "port " + text(service, "port");
    fmt::print("  service {} at {}{}\n", text(service, "name"), where, conduct_of(service));
    std::vector<Row> rows;
    for (const auto& backend : service.value("backends", ordered_json::array()))
      rows.push_back(backend_row(backend));
    print_rows(rows, "    ");
    print_particulars(service);
    print_counters(service, "    ");
  }
}

void print_top_talkers(const ordered_json& part) {
  std::vector<Row> rows;
  for (const auto& talker : part.value("top_talkers", ordered_json::array()))
    rows.push_back({"client", text(talker, "client"), text(talker, "handshakes") + " handshakes"});
  print_rows(rows, "  ");
}

void print_redirects(const ordered_json& part) {
  std::vector<Row> rows;
  for (const auto& redirect : part.value("redirects", ordered_json::array()))
    rows.push_back({"redirect", text(redirect, "service"), "to " + text(redirect, "backend"),
                    "for " + text(redirect, "local"), text(redirect, "expires_in_s") + " s left"});
  for (const auto& fallback : part.value("fallbacks", ordered_json::array()))
    if (fallback.contains("unconsented"))
      rows.push_back({"no consent", text(fallback, "service"),
                      "of " + text(fallback, "unconsented"), "for " + text(fallback, "local"),
                      text(fallback, "expires_in_s") + " s left"});
  print_rows(rows, "  ");
}

// "announcements 7, last 12 s ago, its clock 1 s behind".
std::string heard_of(const ordered_json& server) {
  if (server.value("heard", ordered_json()).is_null())
    return "not heard of yet";
  const auto clock = server.value("clock", std::int64_t{0});
  const auto ago =
      static_cast<std::int64_t>(std::time(nullptr)) - server.value("heard", std::int64_t{0});
  return fmt::format("announcements {}, last {} s ago, its clock {}", text(server, "announcements"),
                     std::max<std::int64_t>(0, ago),
                     clock == 0
                         ? "as here"
                         : fmt::format("{} s {}", std::abs(clock), clock > 0 ? "ahead" : "behind"));
}

void print_rest(const ordered_json& part) {
  std::vector<Row> rows;
  if (part.contains("keys"))
    rows.push_back({"keys", "epoch " + text(part["keys"], "epoch"),
                    fmt::format("{} epochs held",
                                part["keys"].value("epochs_held", ordered_json::array()).size())});
  if (part.contains("announcements")) {
    const auto& announcements = part["announcements"];
    rows.push_back(
        {"announcements", "sent " + text(announcements, "sent"),
         fmt::format("known already {}, over the rate {}, failed {}",
                     text(announcements, "deduplicated"), text(announcements, "rate_limited"),
                     text(announcements, "failed"))});
  }
  if (part.contains("announced"))
    rows.push_back({"admitted", "announced " + text(part, "announced"),
                    fmt::format("flows {} ({}), clients {}", text(part, "flows"),
                                flow_states_of(part.value("flow_states", ordered_json::object())),
                                text(part, "clients"))});
  for (const auto& server : part.value("trap_servers", ordered_json::array()))
    rows.push_back({"TRAP server", text(server, "address"), heard_of(server)});
  print_rows(rows, "  ");
}

} // namespace

void print_status(const ordered_json& parts) {
  for (const auto& part : parts) {
    print_head(part);
    print_interfaces(part);
    print_services(part);
    print_redirects(part);
    print_rest(part);
    print_top_talkers(part);
    if (part.contains("counters")) {
      fmt::print("  packets\n");
      print_counters(part, "    ");
    }
  }
}

} // namespace trap::ctl
