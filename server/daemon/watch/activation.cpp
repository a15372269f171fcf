// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/activation.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

namespace trap::server {
namespace {

constexpr double one_second_ns = 1e9;
constexpr std::uint64_t window_ns = 1'000'000'000; // rates are those of this long
// A handshake takes a round trip, of up to this long: SYNs younger than that are not judged, and
// count as completed by what completed in their own time or this much later, whichever is more. So
// neither the beginning nor the end of a rush of honest clients looks like a flood.
constexpr std::uint64_t lag_ns = 400'000'000;
constexpr std::uint64_t least_step_ns = 50'000'000; // between samples: bounds how many there are

std::uint64_t total(const VerdictCounts& counts, std::initializer_list<trap_verdict> verdicts) {
  std::uint64_t sum = 0;
  for (const trap_verdict verdict : verdicts)
    sum += counts[verdict].packets;
  return sum;
}

std::uint64_t before(std::uint64_t ns, std::uint64_t by_ns) {
  return ns > by_ns ? ns - by_ns : 0;
}

} // namespace

ActivationSample activation_sample(const VerdictCounts& counts) {
  return {
      .syns = total(counts, {TRAP_REPLY_SYN_ACK, TRAP_PASS_SYN_AT_PEACE, TRAP_PASS_SYN_LEFT,
                             TRAP_DROP_SERVICE_CAP, TRAP_DROP_SYN_ACK_CAP, TRAP_DROP_DENIED,
                             TRAP_DROP_NO_BACKEND}),
      .completions = total(counts, {TRAP_PASS_HANDSHAKE, TRAP_PASS_COOKIE, TRAP_REPLY_REDIRECT,
                                    TRAP_DROP_CLIENT_BUDGET, TRAP_DROP_NETWORK_BUDGET,
                                    TRAP_DROP_RESET_CAP, TRAP_DROP_NO_LISTENER}),
      .met = total(counts, {TRAP_PASS_HANDSHAKE}),
  };
}

std::uint64_t LivingHandshakes::count(std::uint64_t met, std::uint64_t opened) {
  const std::uint64_t met_now = is_known_ && met > met_ ? met - met_ : 0;
  const std::uint64_t opened_now = is_known_ && opened > opened_ ? opened - opened_ : 0;
  const std::uint64_t wanted = waiting_ + met_now, there = spare_ + opened_now;
  const std::uint64_t living = std::min(wanted, there);
  waiting_ = std::min(wanted - living, met_now);
  spare_ = std::min(there - living, opened_now);
  is_known_ = true;
  met_ = met;
  opened_ = opened;
  return total_ += living;
}

Activation::Activation(ActivationSettings settings, bool active)
    : settings_(settings), active_(active),
      reason_(active ? "active since an earlier run" : "no attack so far") {}

// The newest one that is no younger than `ns`, or the oldest there is.
const Activation::Moment& Activation::moment_at(std::uint64_t ns) const {
  auto after = std::find_if(moments_.begin(), moments_.end(),
                            [ns](const Moment& moment) { return moment.ns > ns; });
  return after == moments_.begin() ? *after : *std::prev(after);
}

Activation::Rate Activation::measure() const {
  const Moment& now = moments_.back();
  const Moment& start = moment_at(before(now.ns, window_ns));
  const Moment& judged = moment_at(before(now.ns, lag_ns));
  const Moment& judged_start = moment_at(before(now.ns, window_ns + lag_ns));
  // A window that is not full yet counts as full: the first samples after a start make no attack.
  const auto per_s = [](std::uint64_t count, const Moment& from, const Moment& to) {
    return static_cast<double>(count) * one_second_ns /
           static_cast<double>(std::max(to.ns - from.ns, window_ns));
  };
  Rate rate;
  rate.syns_per_s = per_s(now.totals.syns - start.totals.syns, start, now);
  rate.judged_syns_per_s =
      per_s(judged.totals.syns - judged_start.totals.syns, judged_start, judged);
  const double completions_per_s = std::max(
      per_s(now.totals.completions - start.totals.completions, start, now),
      per_s(judged.totals.completions - judged_start.totals.completions, judged_start, judged));
  if (rate.judged_syns_per_s > 0)
    rate.incomplete_percent = 100 * std::max(0.0, 1 - completions_per_s / rate.judged_syns_per_s);
  return rate;
}

// Does it look like an attack, with every threshold multiplied by `factor`?
bool Activation::exceeds(double factor) const {
  return rate_.syns_per_s > settings_.syns_per_s * factor ||
         (rate_.judged_syns_per_s > settings_.floor_syns_per_s * factor &&
          rate_.incomplete_percent > settings_.incomplete_percent * factor);
}

bool Activation::change(bool active, std::string reason) {
  active_ = active;
  reason_ = std::move(reason);
  calm_since_ns_.reset();
  return true;
}

bool Activation::observe(std::uint64_t now_ns, const ActivationSample& totals) {
  if (!moments_.empty()) {
    const Moment& last = moments_.back();
    if (totals.syns < last.totals.syns || totals.completions < last.totals.completions)
      moments_.clear();
    else if (now_ns < last.ns + least_step_ns)
      return false;
  }
  moments_.push_back({now_ns, totals});
  while (moments_.size() > 1 && moments_[1].ns <= before(now_ns, window_ns + lag_ns))
    moments_.pop_front();
  rate_ = measure();

  if (!active_) {
    if (!exceeds(1))
      return false;
    return change(true, fmt::format("{:.0f} SYNs/s, of which {:.0f}% complete no handshake",
                                    rate_.syns_per_s, rate_.incomplete_percent));
  }
  if (exceeds(0.5)) {
    calm_since_ns_.reset();
    return false;
  }
  if (!calm_since_ns_)
    calm_since_ns_ = now_ns;
  if (static_cast<double>(now_ns - *calm_since_ns_) < settings_.hold_s * one_second_ns)
    return false;
  return change(false, fmt::format("below half of the thresholds for {:.0f} s: {:.0f} SYNs/s",
                                   settings_.hold_s, rate_.syns_per_s));
}

} // namespace trap::server
