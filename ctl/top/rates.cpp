// SPDX-License-Identifier: Apache-2.0
#include "ctl/top/rates.h"
#include "runtime/json_text.h"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

using Packets = std::map<std::string, std::uint64_t>;

// Stands for all packets that a monitoring guard would have dropped.
constexpr char monitored_column[] = "monitored";

// drop-denied, drop-no-backend and drop-no-key may be a SYN or an ACK: they are in "dropped" only.
const std::vector<Column> server_columns = {
    {"syn",
     "SYN",
     {"reply-syn-ack", "pass-syn-at-peace", "pass-syn-time-wait", "drop-syn-ack-cap",
      "drop-service-cap"}},
    {"syn_ack", "SYN-ACK", {"reply-syn-ack"}},
    {"handshakes",
     "DONE",
     {"reply-redirect", "pass-cookie", "pass-handshake", "drop-no-listener", "drop-client-budget",
      "drop-network-budget", "drop-reset-cap"}},
    {"redirects", "REDIRECT", {"reply-redirect"}},
    {"served", "SERVED", {"pass-cookie", "pass-handshake"}},
    {"dropped", "DROP", {}},
};

const std::vector<Column> guard_columns = {
    {"syn",
     "SYN",
     {"pass-ticket", "pass-announced", "pass-trusted", "drop-uninvited", "drop-ticket-epoch",
      "drop-ticket-expired", "drop-ticket-mac", "drop-ticket-pool", "drop-client-syns",
      "drop-client-flows", "drop-network-syns", "drop-network-flows"}},
    {"by_ticket", "TICKET", {"pass-ticket"}},
    {"announced", "ANNOUNCED", {"pass-announced"}},
    {"trusted", "TRUSTED", {"pass-trusted"}},
    {"announcements", "ANNOUNCE", {"announce-accepted"}},
    {"over_budget",
     "OVER",
     {"drop-client-syns", "drop-client-packets", "drop-client-bytes", "drop-client-flows",
      "drop-network-syns", "drop-network-packets", "drop-network-flows"}},
    {"would_drop", "WOULD", {monitored_column}},
    {"dropped", "DROP", {}},
};

const std::vector<Column> client_columns = {
    {"syn",
     "SYN",
     {"pass-syn-remembered", "pass-syn-ticketed", "pass-syn-unticketed", "pass-syn-given-up"}},
    {"accepts", "ACCEPT", {"reply-accept"}},
    {"redirected", "REDIRECT", {"reply-reissued-syn", "pass-redirect-learnt"}},
    {"direct", "DIRECT", {"pass-syn-ticketed", "pass-syn-unticketed"}},
    {"given_up", "GIVEN-UP", {"pass-syn-given-up"}},
    {"dropped", "DROP", {}},
};

bool is_drop(std::string_view verdict) {
  return verdict.starts_with("drop-");
}

Packets packets_of(const ordered_json& owner) {
  Packets packets;
  const ordered_json counters = owner.value("counters", ordered_json::object());
  for (const auto& [verdict, count] : counters.items())
    packets[verdict] = count.get<std::uint64_t>();
  const ordered_json monitored = owner.value("monitored", ordered_json::object());
  for (const auto& [verdict, count] : monitored.items())
    packets[monitored_column] += count.get<std::uint64_t>();
  return packets;
}

ServiceCounters read_service(const std::string& part, const ordered_json& service) {
  ServiceCounters counters;
  counters.part = part;
  counters.service = service.value("name", "");
  counters.address =
      service.contains("port") ? "*:" + json_text(service["port"]) : service.value("address", "");
  if (service.contains("active"))
    counters.state = service.value("active", true) ? "active" : "resting";
  counters.packets = packets_of(service);
  const ordered_json bytes = service.value("bytes", ordered_json::object());
  counters.bytes_in = bytes.value("in", std::uint64_t{0});
  counters.bytes_out = bytes.value("out", std::uint64_t{0});
  return counters;
}

// "monitors, 3 clients, 7 flows, 2 announced", of a guard.
std::string note_of(const ordered_json& status) {
  if (!status.contains("mode"))
    return "";
  const auto number = [&](const char* key) {
    return json_text(status.value(key, ordered_json(0)));
  };
  return (status["mode"] == "monitor" ? "monitors: " : "") + number("clients") + " clients, " +
         number("flows") + " flows, " + number("announced") + " announced";
}

// The packets that a part counted for no service: its sum without its services.
ServiceCounters read_rest(const std::string& part, const ordered_json& status,
                          const std::vector<ServiceCounters>& services) {
  ServiceCounters rest;
  rest.part = part;
  rest.packets = packets_of(status);
  rest.note = note_of(status);
  for (const ServiceCounters& service : services) {
    if (service.part != part)
      continue;
    for (const auto& [verdict, count] : service.packets)
      rest.packets[verdict] -= std::min(rest.packets[verdict], count);
  }
  return rest;
}

const ServiceCounters* find(const Sample& sample, const ServiceCounters& wanted) {
  auto at = std::find_if(
      sample.services.begin(), sample.services.end(), [&](const ServiceCounters& service) {
        return service.part == wanted.part && service.service == wanted.service &&
               service.address == wanted.address;
      });
  return at == sample.services.end() ? nullptr : &*at;
}

double growth(std::uint64_t earlier, std::uint64_t later) {
  return static_cast<double>(later < earlier ? later : later - earlier);
}

// Packets a second of each verdict that has any.
std::map<std::string, double> verdict_rates(const Packets& earlier, const Packets& later,
                                            double seconds) {
  std::map<std::string, double> rates;
  for (const auto& [verdict, count] : later) {
    auto before = earlier.find(verdict);
    double grown = growth(before == earlier.end() ? 0 : before->second, count);
    if (grown > 0)
      rates[verdict] = grown / seconds;
  }
  return rates;
}

ServiceRates rate_service(const ServiceCounters& earlier, const ServiceCounters& later,
                          double seconds) {
  ServiceRates rates;
  rates.last = later;
  std::map<std::string, double> by_verdict = verdict_rates(earlier.packets, later.packets, seconds);
  double dropped = 0;
  for (const auto& [verdict, rate] : by_verdict) {
    if (!is_drop(verdict))
      continue;
    dropped += rate;
    rates.drops.emplace_back(verdict, rate);
  }
  std::stable_sort(rates.drops.begin(), rates.drops.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const Column& column : columns_of(later.part)) {
    double sum = column.verdicts.empty() ? dropped : 0;
    for (const char* verdict : column.verdicts) {
      auto at = by_verdict.find(verdict);
      sum += at == by_verdict.end() ? 0 : at->second;
    }
    rates.per_s.push_back(sum);
  }
  rates.bytes_in_per_s = growth(earlier.bytes_in, later.bytes_in) / seconds;
  rates.bytes_out_per_s = growth(earlier.bytes_out, later.bytes_out) / seconds;
  return rates;
}

} // namespace

const std::vector<Column>& columns_of(const std::string& part) {
  return part == "server" ? server_columns : part == "guard" ? guard_columns : client_columns;
}

Sample read_sample(const std::vector<ordered_json>& parts, double at_s) {
  Sample sample;
  sample.at_s = at_s;
  for (const ordered_json& status : parts) {
    std::string part = status.value("part", "");
    const ordered_json services = status.value("services", ordered_json::array());
    for (const auto& service : services)
      sample.services.push_back(read_service(part, service));
    sample.services.push_back(read_rest(part, status, sample.services));
  }
  return sample;
}

std::vector<ServiceRates> rates_between(const Sample& earlier, const Sample& later) {
  std::vector<ServiceRates> all;
  double seconds = later.at_s - earlier.at_s;
  for (const ServiceCounters& service : later.services) {
    const ServiceCounters* before = find(earlier, service);
    // A new service, and two samples of one moment, have no rate.
    bool measurable = before && seconds > 0;
    all.push_back(rate_service(measurable ? *before : service, service, measurable ? seconds : 1));
  }
  return all;
}

} // namespace trap::ctl
