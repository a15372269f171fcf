// SPDX-License-Identifier: Apache-2.0
#include "ctl/top/top_table.h"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "ctl/table.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

constexpr std::size_t drops_shown = 3;
constexpr std::size_t text_columns = 3; // service, address, state

std::string top_drops(const ServiceRates& rates) {
  std::string text;
  for (std::size_t i = 0; i < std::min(drops_shown, rates.drops.size()); i++)
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", rates.drops[i].first,
                        format_rate(rates.drops[i].second));
  if (rates.drops.size() > drops_shown)
    text += ", ...";
  return text;
}

Row head_of(const std::string& part) {
  Row row = {"SERVICE", "ADDRESS", "STATE"};
  for (const Column& column : columns_of(part))
    row.emplace_back(column.title);
  row.insert(row.end(), {"B IN", "B OUT", "DROPPED MOST"});
  return row;
}

Row row_of(const ServiceRates& rates) {
  auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
  Row row = {or_dash(rates.last.service), or_dash(rates.last.address), or_dash(rates.last.state)};
  for (double per_s : rates.per_s)
    row.push_back(format_rate(per_s));
  row.insert(row.end(), {format_rate(rates.bytes_in_per_s), format_rate(rates.bytes_out_per_s),
                         top_drops(rates)});
  return row;
}

// A client has no services: all its packets are in this row.
bool is_worth_a_row(const ServiceRates& rates) {
  return !rates.last.service.empty() || rates.last.part == "client" || !rates.drops.empty();
}

} // namespace

std::string format_rate(double per_s) {
  if (per_s <= 0)
    return "0";
  if (per_s < 9.95)
    return fmt::format("{:.1f}", per_s);
  for (const char* unit : {"", "k", "M", "G"}) {
    if (per_s < 999.5) {
      int decimals = *unit == '\0' || per_s >= 99.95 ? 0 : per_s >= 9.995 ? 1 : 2;
      return fmt::format("{:.{}f}{}", per_s, decimals, unit);
    }
    per_s /= 1000;
  }
  return fmt::format("{:.0f}T", per_s);
}

std::string format_rates(const std::vector<ServiceRates>& rates) {
  std::string text;
  for (const char* part : {"server", "guard", "client"}) {
    std::vector<Row> rows = {head_of(part)};
    bool runs = false;
    std::string note;
    for (const ServiceRates& service : rates) {
      if (service.last.part != part)
        continue;
      runs = true;
      note += service.last.note;
      if (is_worth_a_row(service))
        rows.push_back(row_of(service));
    }
    if (runs)
      text += fmt::format("{}trap-{}, a second{}{}\n{}", text.empty() ? "" : "\n", part,
                          note.empty() ? "" : "; ", note,
                          format_rows(rows, "  ", text_columns, rows[0].size() - 1));
  }
  return text;
}

ordered_json rates_json(const std::vector<ServiceRates>& rates, double interval_s) {
  auto services = ordered_json::array();
  for (const ServiceRates& service : rates) {
    ordered_json entry = {{"part", service.last.part},
                          {"service", service.last.service},
                          {"address", service.last.address}};
    if (!service.last.state.empty())
      entry["state"] = service.last.state;
    const std::vector<Column>& columns = columns_of(service.last.part);
    for (std::size_t i = 0; i < columns.size(); i++)
      entry["per_s"][columns[i].key] = service.per_s[i];
    entry["per_s"]["bytes_in"] = service.bytes_in_per_s;
    entry["per_s"]["bytes_out"] = service.bytes_out_per_s;
    entry["drops_per_s"] = ordered_json::object();
    for (const auto& [verdict, rate] : service.drops)
      entry["drops_per_s"][verdict] = rate;
    services.push_back(entry);
  }
  return {{"interval_s", interval_s}, {"services", services}};
}

} // namespace trap::ctl
