// SPDX-License-Identifier: Apache-2.0
#include "lab/demo/heavy_flood.h"

#include <algorithm>
#include <functional>
#include <memory>

#include <unistd.h>

#include <fmt/format.h>

#include "lab/deployment/plain_defences.h"
#include "lab/deployment/redirects.h"
#include "lab/hosts/cpus.h"
#include "lab/traffic/torrent.h"

namespace trap::lab {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Held = std::shared_ptr<void>;

constexpr Pace pace{100, microseconds{10'000}, milliseconds{800}};
constexpr Load load{16, milliseconds{150}, milliseconds{600}};

struct Candidate {
  const char *name, *title;
  bool is_trap;
  const char *flooded, *client;
  std::function<Result<Held>()> put_up;
  bool forgets = false; // every connection is the client's first
};

class Trials {
public:
  Trials(Deployment& deployment, const Terminal& terminal)
      : topology_(deployment.topology()), terminal_(terminal) {}

  Result<std::vector<FloodRow>> run() {
    if (auto prepared = prepare(); !prepared)
      return prepared.error();
    std::vector<FloodRow> rows;
    for (const Candidate& candidate : candidates()) {
      auto row = try_one(candidate);
      if (!row)
        return row.error();
      rows.push_back(std::move(*row));
    }
    return rows;
  }

private:
  Result<void> prepare() {
    for (const char* host : {"plain", "trap"})
      if (auto prepared = prepare_flooded_link(topology_, host); !prepared)
        return prepared;
    for (const char* host : {"service", "trap"})
      if (auto kept = keep_programs_to_cpu(topology_.host(host), 0); !kept)
        return kept;
    auto redirects = Redirects::open(topology_.host("client"));
    if (!redirects)
      return redirects.error();
    redirects_.emplace(std::move(*redirects));
    // A client whose round-trip time the kernel remembers has part of the backlog to itself.
    return topology_.host("plain").set("ipv4/tcp_no_metrics_save", "1");
  }

  std::vector<Candidate> candidates() {
    const auto plain = [this](const char* cookies) {
      return [this, cookies] { return start_plain(cookies); };
    };
    return {
        {"no-defence", "nginx alone, SYN cookies off", false, "plain", "stranger", plain("0")},
        {"kernel-cookies", "SYN cookies as Debian ships them", false, "plain", "stranger",
         plain("1")},
        {"nft-synproxy", "nft's SYNPROXY", false, "plain", "stranger",
         [this] { return start_synproxy(); }},
        {"trap-serve", "TRAP, serving on nginx's host", true, "plain", "stranger",
         [this] { return start_trap(); }},
        {"trap-redirect-new", "TRAP, redirecting new clients", true, "trap", "client",
         [] { return Held{}; }, true},
        {"trap-redirect-known", "TRAP, clients with a redirect", true, "trap", "client",
         [] { return Held{}; }},
    };
  }

  // Without what the last flood left in its queue.
  Result<Held> start_plain(const char* cookies) {
    const Host& plain = topology_.host("plain");
    for (const auto& [sysctl, value] :
         {std::pair{"ipv4/tcp_syncookies", cookies}, {"ipv4/tcp_timestamps", "1"}})
      if (auto set = plain.set(sysctl, value); !set)
        return set.error();
    auto nginx = Nginx::start(plain, {service_port});
    if (!nginx)
      return nginx.error();
    return Held{std::make_shared<Nginx>(std::move(*nginx))};
  }

  Result<Held> start_synproxy() {
    auto nginx = start_plain("1");
    if (!nginx)
      return nginx;
    auto rules = put_synproxy_before(topology_.host("plain"));
    if (!rules)
      return rules.error();
    using Both = std::pair<Held, Held>; // the rules go first
    return Held{std::make_shared<Both>(std::move(*nginx), *rules)};
  }

  Result<Held> start_trap() {
    auto nginx = start_plain("1");
    if (!nginx)
      return nginx;
    auto trap = TrapOnPlain::start(topology_, "");
    if (!trap)
      return trap.error();
    using Both = std::pair<Held, Held>;
    return Held{std::make_shared<Both>(std::move(*nginx), Held{std::move(*trap)})};
  }

  Result<FloodRow> try_one(const Candidate& candidate) {
    FloodRow row{candidate.name, candidate.title, candidate.is_trap, {}, {}};
    terminal_.begin(candidate.title);
    const Preferred measured{measured_nice};
    const auto pinned = Pinned::to(0); // what it starts serves there
    if (!pinned)
      return pinned.error();
    const auto held = candidate.put_up();
    if (!held) {
      row.not_tried = held.error().message;
      terminal_.end(!candidate.is_trap, row.title, row.not_tried);
      return row;
    }
    FloodTrialPlan plan;
    plan.flooded = candidate.flooded;
    plan.flooded_address = plan.called_address = addresses_of(candidate.flooded).ipv4;
    plan.per_second = heavy_flood_per_second;
    plan.client = candidate.client;
    plan.pace = pace;
    plan.load = load;
    if (candidate.forgets)
      plan.before_call = [this] { redirects_->forget(); };
    auto trial = try_under_flood(topology_, plan);
    if (!trial)
      return trial.error();
    row.trial = std::move(*trial);
    terminal_.end(
        true, row.title,
        fmt::format("{:.0f} % of new connections served", row.trial.share_served() * 100));
    return row;
  }

  const Topology& topology_;
  const Terminal& terminal_;
  std::optional<Redirects> redirects_;
};

std::string percent_text(double share) {
  // 99.6 % is not 100 %, and 0.3 % is not nothing.
  const double percent = share * 100;
  if ((percent > 99 && percent < 100) || (percent > 0 && percent < 1))
    return fmt::format("{:.1f} %", percent);
  return fmt::format("{:.0f} %", percent);
}

std::string list_of(const std::vector<const FloodRow*>& rows) {
  std::string text;
  for (const FloodRow* row : rows)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ",
                        percent_text(row->trial.share_served()), row->title);
  return text;
}

double least_share(const std::vector<const FloodRow*>& rows) {
  return (*std::ranges::min_element(rows, {},
                                    [](const FloodRow* row) { return row->trial.share_served(); }))
      ->trial.share_served();
}

double greatest_share(const std::vector<const FloodRow*>& rows) {
  return (*std::ranges::max_element(rows, {},
                                    [](const FloodRow* row) { return row->trial.share_served(); }))
      ->trial.share_served();
}

std::string verdict_of(const std::vector<const FloodRow*>& ours,
                       const std::vector<const FloodRow*>& others) {
  const double least = least_share(ours), greatest = greatest_share(others);
  if (least >= share_that_holds && greatest < share_of_collapse)
    return "TRAP held where the others collapsed";
  if (least >= share_that_holds && greatest < share_that_holds)
    return "TRAP held where the others did not";
  if (least >= share_that_holds)
    return "TRAP held, and so did another";
  return least > greatest ? "TRAP did not hold, but served more than the others"
                          : "here TRAP did not hold, and did no better than the others";
}

} // namespace

std::string FloodRow::doubt() const {
  if (!not_tried.empty())
    return not_tried;
  if (!trial.flood_arrived())
    return fmt::format("only {:.0f} of {} SYNs a second were sent", trial.offered_per_second,
                       trial.asked_per_second);
  return trial.doubt();
}

Result<std::vector<FloodRow>> try_defences(Deployment& deployment, const Terminal& terminal) {
  if (last_cpu() == 0)
    return std::vector<FloodRow>{};
  return Trials{deployment, terminal}.run();
}

std::string rate_text(double per_second) {
  if (per_second < 1000)
    return fmt::format("{:.0f}", per_second);
  const double thousands = std::round(per_second / 1000);
  return thousands < 1000 ? fmt::format("{:.0f},000", thousands)
                          : fmt::format("{:.1f} million", per_second / 1e6);
}

std::string table_of(const std::vector<FloodRow>& rows) {
  constexpr std::string_view form = "{:<33} {:>8} {:>8} {:>10} {:>10} {:>10} {:>9}  {}\n";
  std::string text = fmt::format(form, "defence", "flood/s", "served", "p50 ms", "p99 ms",
                                 "requests/s", "CPU busy", "") +
                     fmt::format("{:-<33} {:->8} {:->8} {:->10} {:->10} {:->10} {:->9}\n", "", "",
                                 "", "", "", "", "");
  for (const FloodRow& row : rows) {
    if (!row.not_tried.empty()) {
      text += fmt::format("{:<33} not tried: {}\n", row.title, row.not_tried);
      continue;
    }
    const FloodTrial& trial = row.trial;
    const std::string doubt = row.doubt();
    const bool at_least = trial.requests_per_second > 0 && !trial.load_was_limited_by_victim();
    text += fmt::format(
        form, row.title, fmt::format("{:.2f} M", trial.offered_per_second / 1e6),
        percent_text(trial.share_served()), fmt::format("{:.2f}", trial.connect_ms(50)),
        fmt::format("{:.2f}", trial.connect_ms(99)),
        fmt::format("{}{:.0f}", at_least ? "> " : "", trial.requests_per_second),
        fmt::format("{:.0f} %", trial.victim_busy * 100), doubt.empty() ? "" : "(" + doubt + ")");
  }
  return text;
}

std::string sentence_of(const std::vector<FloodRow>& rows) {
  if (rows.empty())
    return "This machine has one CPU, which a flood and its victim would share: the demo cannot "
           "show here which defence holds against a flood with a CPU of its own.";
  std::vector<const FloodRow*> ours, others;
  std::string unclear;
  double least = 0, greatest = 0;
  for (const FloodRow& row : rows) {
    if (const std::string doubt = row.doubt(); !doubt.empty()) {
      unclear += fmt::format(" Nothing follows for \"{}\": {}.", row.title, doubt);
      continue;
    }
    (row.is_trap ? ours : others).push_back(&row);
    const double rate = row.trial.offered_per_second;
    least = least == 0 ? rate : std::min(least, rate);
    greatest = std::max(greatest, rate);
  }
  if (ours.empty() || others.empty())
    return "The demo proves nothing about floods with a CPU of their own here." + unclear;
  const std::string from = rate_text(least), to = rate_text(greatest);
  return fmt::format("Under {} SYNs a second from a CPU of their own, TRAP served {} of new "
                     "connections; served without TRAP: {}: {}.{}",
                     from == to ? to : from + " to " + to, list_of(ours), list_of(others),
                     verdict_of(ours, others), unclear);
}

} // namespace trap::lab
