// SPDX-License-Identifier: Apache-2.0
// trapctl knock: one handshake with a service, step by step.
#include <chrono>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include "ctl/commands.h"
#include "ctl/knock/knock_service.h"
#include "ctl/knock/knock_sockets.h"
#include "ctl/knock/knock_words.h"
#include "ctl/table.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// After a SYN-ACK without OFFER, a reset that is on its way comes within a round trip.
constexpr milliseconds brief_wait{300};

// Sends and listens until the knock is over.
Result<void> hold(KnockTalk& talk, KnockSockets& sockets, milliseconds timeout) {
  std::optional<KnockTalk::Sending> next = talk.begin();
  auto since = Clock::now();
  while (!talk.over()) {
    if (next) {
      if (auto sent = sockets.send(*next); !sent)
        return sent;
      since = Clock::now();
      next.reset();
    }
    const auto deadline = since + (talk.waits_briefly() ? std::min(brief_wait, timeout) : timeout);
    auto arrivals = sockets.wait(deadline - Clock::now());
    if (!arrivals)
      return arrivals.error();
    for (const KnockSockets::Arrival& arrival : *arrivals) {
      if (arrival.on_wire)
        talk.saw(arrival.segment, arrival.outgoing, arrival.at_ns);
      else if (auto sending = talk.received(arrival.segment))
        next = std::move(sending);
    }
    if (arrivals->empty() && !talk.over() && Clock::now() >= deadline) {
      next = talk.silence();
      since = Clock::now();
    }
  }
  if (auto last = talk.farewell())
    return sockets.send(*last);
  return {};
}

double ms_since(const KnockStep& first, const KnockStep& step) {
  return static_cast<double>(step.at_ns - first.at_ns) / 1e6;
}

const char* outcome_name(KnockOutcome outcome) {
  switch (outcome) {
  case KnockOutcome::redirected:
    return "redirected";
  case KnockOutcome::direct:
    return "direct";
  default:
    return "failed";
  }
}

ordered_json json_of(const KnockTalk& talk, const std::string& service) {
  auto steps = ordered_json::array();
  const std::vector<KnockStep> all = talk.steps();
  for (const KnockStep& step : all)
    steps.push_back({{"at_ms", ms_since(all.front(), step)},
                     {"by", step.by_module ? "trap-client" : "trapctl"},
                     {"direction", step.outgoing ? "out" : "in"},
                     {"peer", format_endpoint(step.outgoing ? step.segment.to : step.segment.from)},
                     {"segment", name_of(step.segment)},
                     {"meaning", step.meaning}});
  ordered_json json = {{"service", service},
                       {"outcome", outcome_name(talk.outcome())},
                       {"verdict", talk.verdict()},
                       {"by", talk.by_module() ? "trap-client" : "trapctl"},
                       {"steps", steps},
                       {"notes", talk.reasons()}};
  if (talk.backend().port != 0)
    json["backend"] = format_endpoint(talk.backend());
  if (talk.redirection())
    json["lifetime_s"] = talk.redirection()->lifetime_s;
  if (talk.outcome() == KnockOutcome::redirected)
    json.update({{"ticketed", !talk.unticketed()}, {"consented", talk.consented()}});
  return json;
}

// Only where a module is at work.
const char* by(const KnockTalk& talk, const KnockStep& step) {
  if (!talk.by_module())
    return "";
  return step.by_module ? " (trap-client)" : " (trapctl)";
}

void print(const KnockTalk& talk) {
  std::vector<Row> rows;
  const std::vector<KnockStep> steps = talk.steps();
  for (const KnockStep& step : steps)
    rows.push_back({fmt::format("{:.3f} ms", ms_since(steps.front(), step)),
                    step.outgoing ? "to" : "from",
                    format_endpoint(step.outgoing ? step.segment.to : step.segment.from),
                    name_of(step.segment), step.meaning + by(talk, step)});
  fmt::print("{}", format_rows(rows, "  ", 0, 1));
  fmt::print("{}: {}{}\n", talk.outcome() == KnockOutcome::failed ? "failed" : "ok", talk.verdict(),
             talk.by_module() ? " (trap-client on this host did the work)" : "");
  if (talk.reasons().empty())
    return;
  fmt::print("{}:\n", talk.outcome() == KnockOutcome::redirected ? "note" : "possible reasons");
  for (const std::string& reason : talk.reasons())
    fmt::print("  - {}\n", reason);
}

} // namespace

Result<ExitCode> knock(const KnockRequest& request) {
  auto service = find_service(request.service);
  if (!service)
    return Error{fmt::format("service {}", service.error().message), ExitCode::usage};
  if (sodium_init() < 0)
    return Error{"libsodium does not start: no random numbers"};
  auto sockets = KnockSockets::make(*service);
  if (!sockets)
    return sockets.error();
  KnockTalk talk(sockets->local(), *service, randombytes_random());
  if (!request.json)
    fmt::print("{} knocks at {}\n", format_address(sockets->local().address),
               format_endpoint(*service));
  if (auto held =
          hold(talk, *sockets, milliseconds{static_cast<std::int64_t>(request.timeout_s * 1000)});
      !held)
    return held.error();
  if (request.json)
    fmt::print("{}\n", json_of(talk, format_endpoint(*service)).dump(2));
  else
    print(talk);
  return talk.outcome() == KnockOutcome::failed ? ExitCode::failed : ExitCode::ok;
}

} // namespace trap::ctl
