// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/clock_watch.h"

#include <cstdlib>
#include <ctime>
#include <sys/timex.h>

#include <fmt/core.h>

#include "runtime/log.h"

namespace trap {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t step_least_ns = second_ns; // a time daemon slews by less than a ms a second
constexpr std::int64_t nap_least_ns = second_ns;
// Clocks are read one after the other. If the host did something else in between, they show two
// moments, and the difference would look like a step or a nap.
constexpr std::int64_t reading_most_ns = second_ns / 1000;
constexpr int reading_tries = 20;
// Less matters to no ticket: guards accept a minute by default.
constexpr std::int64_t far_off_ns = 10 * second_ns;

std::int64_t clock_ns(clockid_t id) {
  timespec now = {};
  clock_gettime(id, &now);
  return now.tv_sec * second_ns + now.tv_nsec;
}

const char* direction(std::int64_t by) {
  return by > 0 ? "ahead" : "back";
}

std::int64_t seconds_of(std::int64_t ns) {
  return (ns + (ns > 0 ? second_ns : -second_ns) / 2) / second_ns;
}

} // namespace

ClockReading read_host_clocks() {
  timex state = {};
  const int answer = adjtimex(&state);
  ClockReading now = {.synchronised =
                          answer >= 0 && answer != TIME_ERROR && !(state.status & STA_UNSYNC)};
  for (int tries = 0; tries < reading_tries; tries++) {
    now.boottime_ns = clock_ns(CLOCK_BOOTTIME);
    now.unix_ns = clock_ns(CLOCK_REALTIME);
    now.monotonic_ns = clock_ns(CLOCK_MONOTONIC);
    if (clock_ns(CLOCK_BOOTTIME) - now.boottime_ns < reading_most_ns)
      break;
  }
  return now;
}

ClockWatch::Seen ClockWatch::observe(const ClockReading& now) {
  const std::int64_t lead_ns = now.unix_ns - now.boottime_ns;
  const std::int64_t asleep_ns = now.boottime_ns - now.monotonic_ns;
  Seen seen;
  if (trusted_ns_) {
    if (std::abs(lead_ns - last_ns_) >= step_least_ns)
      seen.step_s = seconds_of(lead_ns - last_ns_);
    if (asleep_ns - last_asleep_ns_ >= nap_least_ns)
      seen.slept_s = seconds_of(asleep_ns - last_asleep_ns_);
  }
  if (!trusted_ns_ || now.synchronised)
    trusted_ns_ = lead_ns;
  last_ns_ = lead_ns;
  last_asleep_ns_ = asleep_ns;
  return seen;
}

void ClockWatch::watch(const ClockReading& now) {
  const Seen seen = observe(now);
  if (seen.slept_s != 0)
    log::info("this host slept for {} s", seen.slept_s);
  if (seen.step_s != 0)
    log::warn("this host's clock was set {} s {}", std::abs(seen.step_s), direction(seen.step_s));
}

std::string ClockWatch::problem() const {
  if (!trusted_ns_ || std::abs(last_ns_ - *trusted_ns_) < far_off_ns)
    return "";
  const std::int64_t off_s = seconds_of(last_ns_ - *trusted_ns_);
  return fmt::format(
      "this host's clock was set {} s {} and is not synchronised: hosts with another "
      "time refuse its tickets and announcements, and it theirs: timedatectl "
      "set-ntp true",
      std::abs(off_s), direction(off_s));
}

} // namespace trap
