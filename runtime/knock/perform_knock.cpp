// SPDX-License-Identifier: Apache-2.0
#include "runtime/knock/perform_knock.h"

#include <algorithm>
#include <netinet/in.h>
#include <sys/socket.h>

#include <sodium.h>

#include "runtime/knock/knock_sockets.h"
#include "runtime/knock/knock_words.h"

namespace trap {

using nlohmann::ordered_json;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// After a SYN-ACK without OFFER, a reset that is on its way comes within a round trip.
constexpr milliseconds brief_wait{300};
constexpr milliseconds between_questions{200}; // whether to stop

// Sends and listens until the knock is over.
Result<void> hold(KnockTalk& talk, KnockSockets& sockets, milliseconds timeout,
                  const std::function<bool()>& is_to_stop) {
  std::optional<KnockTalk::Sending> next = talk.begin();
  auto since = Clock::now();
  while (!talk.over()) {
    if (is_to_stop())
      return Error{"the knock was broken off: the daemon stops"};
    if (next) {
      if (auto sent = sockets.send(*next); !sent)
        return sent;
      since = Clock::now();
      next.reset();
    }
    const auto deadline = since + (talk.waits_briefly() ? std::min(brief_wait, timeout) : timeout);
    auto arrivals = sockets.wait(
        std::min<std::chrono::nanoseconds>(deadline - Clock::now(), between_questions));
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

ordered_json json_of(const KnockTalk& talk, const Endpoint& local, const Endpoint& service) {
  auto steps = ordered_json::array();
  const std::vector<KnockStep> all = talk.steps();
  for (const KnockStep& step : all)
    steps.push_back({{"at_ms", ms_since(all.front(), step)},
                     {"by", step.by_module ? "trap-client" : "trapctl"},
                     {"direction", step.outgoing ? "out" : "in"},
                     {"peer", format_endpoint(step.outgoing ? step.segment.to : step.segment.from)},
                     {"segment", name_of(step.segment)},
                     {"meaning", step.meaning}});
  ordered_json json = {{"service", format_endpoint(service)},
                       {"from", format_address(local.address)},
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

} // namespace

bool may_knock() {
  return static_cast<bool>(Fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP)));
}

Result<ordered_json> perform_knock(const KnockOrder& order, const OpenKnockWire& open_wire,
                                   const std::function<bool()>& is_to_stop) {
  if (sodium_init() < 0)
    return Error{"libsodium does not start: no random numbers"};
  auto sockets = KnockSockets::make(order.service, open_wire);
  if (!sockets)
    return sockets.error();
  KnockTalk talk(sockets->local(), order.service, randombytes_random());
  if (auto held = hold(talk, *sockets, order.timeout, is_to_stop); !held)
    return held.error();
  return json_of(talk, sockets->local(), order.service);
}

} // namespace trap
