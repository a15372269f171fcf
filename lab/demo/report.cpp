// SPDX-License-Identifier: Apache-2.0
#include "lab/demo/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/hosts/cpus.h"
#include "lab/hosts/files.h"
#include "runtime/version.h"

namespace trap::lab {
namespace {

using nlohmann::ordered_json;

struct Answer {
  std::string_view verdict, text;
};

// The figures that a reader of the table wants first; the rest is in the report.
constexpr Answer server_answers[] = {{"reply-syn-ack", "SYN-ACK"},
                                     {"reply-redirect", "redirect"},
                                     {"drop-bad-cookie", "bad ACK dropped"}};
constexpr Answer guard_answers[] = {{"pass-ticket", "ticket"},
                                    {"pass-announced", "announced SYN"},
                                    {"drop-uninvited", "SYN dropped"},
                                    {"drop-no-flow", "stray dropped"}};

template <std::size_t n>
std::string answers(std::string_view who, const Counters& counters, const Answer (&table)[n]) {
  std::string text;
  for (const Answer& answer : table)
    if (const std::uint64_t packets = count_of(counters, answer.verdict); packets > 0)
      text += fmt::format("{} {} {}", text.empty() ? "" : ",", packets, answer.text);
  return text.empty() ? "" : fmt::format("{}:{}", who, text);
}

std::string download_text(const Step& step) {
  if (step.response.exit_code == 0)
    return fmt::format("HTTP {}", step.response.http_status);
  switch (step.response.exit_code) {
  case curl_timed_out:
    return "no answer";
  case curl_refused:
  case curl_reset:
    return "reset";
  default:
    return fmt::format("curl {}", step.response.exit_code);
  }
}

ordered_json json_of(const Counters& counters) {
  ordered_json object = ordered_json::object();
  for (const auto& [verdict, packets] : counters)
    object[verdict] = packets;
  return object;
}

ordered_json json_of(const Step& step) {
  return {
      {"name", step.name},
      {"title", step.title},
      {"family", name_of(step.family)},
      {"ok", step.ok},
      {"note", step.note},
      {"times", {{"connect_s", step.response.connect_s}, {"total_s", step.response.total_s}}},
      {"curl_exit", step.response.exit_code},
      {"http_status", step.response.http_status},
      {"bytes", step.response.bytes},
      {"flood_pps", step.flood ? ordered_json(step.flood->per_second()) : ordered_json(nullptr)},
      {"counters",
       {{"server", json_of(step.counters.server)},
        {"guard", json_of(step.counters.guard)},
        {"client", json_of(step.counters.client)}}}};
}

ordered_json json_of(const FloodRow& row) {
  ordered_json json = {{"name", row.name}, {"title", row.title}, {"doubt", row.doubt()}};
  if (!row.not_tried.empty())
    return json;
  const FloodTrial& trial = row.trial;
  json.update(
      {{"offered_per_second", trial.offered_per_second},
       {"received_per_second", trial.received_per_second},
       {"calls", trial.calls.size()},
       {"share_served", trial.share_served()},
       {"connect_ms", {{"p50", trial.connect_ms(50)}, {"p99", trial.connect_ms(99)}}},
       {"first_byte_ms", {{"p50", trial.first_byte_ms(50)}, {"p99", trial.first_byte_ms(99)}}},
       {"requests_per_second", trial.requests_per_second},
       {"requests_limited_by_victim", trial.load_was_limited_by_victim()},
       {"victim_busy", trial.victim_busy},
       {"stolen", trial.stolen}});
  return json;
}

} // namespace

std::string who_answered(const Reading& counters) {
  const std::string server = answers("server", counters.server, server_answers),
                    guard = answers("guard", counters.guard, guard_answers);
  return server + (server.empty() || guard.empty() ? "" : "; ") + guard;
}

std::string table_of(const std::vector<Step>& steps) {
  constexpr std::string_view form = "{:<43} {:<4} {:>3} {:<9} {:>10} {:>8} {:>8}  {}\n";
  std::string text = fmt::format(form, "situation", "", "ok", "result", "connect ms", "total s",
                                 "flood/s", "who answered what (packets)");
  text += fmt::format("{:-<43} {:-<4} {:->3} {:-<9} {:->10} {:->8} {:->8}  {:-<40}\n", "", "", "",
                      "", "", "", "", "");
  for (const Step& step : steps) {
    const bool connected = step.response.connect_s > 0;
    text += fmt::format(
        form, step.title, name_of(step.family), step.ok ? "yes" : "NO", download_text(step),
        connected ? fmt::format("{:.2f}", step.response.connect_s * 1000) : "-",
        step.response.complete() ? fmt::format("{:.3f}", step.response.total_s) : "-",
        step.flood ? fmt::format("{:.0f}", step.flood->per_second()) : "-",
        who_answered(step.counters));
  }
  return text;
}

Result<void> write_report(const std::filesystem::path& path, const DemoReport& report) {
  ordered_json json{{"version", program_version},
                    {"steps", ordered_json::array()},
                    {"heavy_flood",
                     {{"cpus", last_cpu() + 1},
                      {"asked_per_second", heavy_flood_per_second},
                      {"defences", ordered_json::array()}}},
                    {"downloads", report.downloads},
                    {"summary", report.summary}};
  for (const Step& step : report.steps)
    json["steps"].push_back(json_of(step));
  for (const FloodRow& row : report.heavy_flood)
    json["heavy_flood"]["defences"].push_back(json_of(row));
  return write_text(path, json.dump(2) + "\n");
}

} // namespace trap::lab
