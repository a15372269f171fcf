// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/shortfall.h"

#include <fmt/core.h>

#include "runtime/nanoseconds.h"

namespace trap::server {
namespace {

// Enough handshakes that a client or two cannot decide. Another attempt costs fewer clients.
constexpr std::uint64_t enough_at_first = 8;
constexpr std::uint64_t enough_again = 2;
constexpr std::uint64_t memory_ns = 600 * ns_per_s; // older handshakes do not count
constexpr std::uint64_t retry_after_ns = 600 * ns_per_s;
constexpr std::uint64_t trial_ns = 5 * ns_per_s;   // a client sends its SYN again after 1 s and 3 s
constexpr std::uint64_t others_ns = 15 * ns_per_s; // in which some client of another network comes
constexpr std::uint64_t ban_counts_ns = 60 * ns_per_s;
constexpr unsigned enough_tests = 2;
constexpr const char* before_tc =
    "another tc program may end the walk before it, or the interface may lead packets elsewhere, "
    "as one of a bridge does: see bpftool net";
constexpr const char* behind_tc =
    "a firewall may drop ACKs without a SYN before them (ct state invalid or new), or DNAT, "
    "REDIRECT or TPROXY may lead them elsewhere: see nft list ruleset";
// nf_nat_inet_port_was_mangled (since Linux 5.13) compares the packet's port with one that
// bpf_sk_assign_tcp_reqsk (6.9 to 6.18 at least) leaves unset, wherever a nat chain is loaded.
constexpr const char* without_socket =
    "where rules translate addresses (a nat chain, as Docker has) or lead packets to a proxy "
    "(TPROXY), Linux takes the socket of a handshake away again: with net.ipv4.tcp_syncookies=2 "
    "the kernel's cookies answer";
constexpr const char* retries = "tried again every 10 minutes and at a reload";

std::uint64_t all_of(const SampleCounts& counts) {
  return counts.arrived + counts.lost;
}

// Less than a fourth gets through.
bool is_short(std::uint64_t through, std::uint64_t all) {
  return through * 4 < all;
}

} // namespace

void Shortfall::retry(const HandoverCounts& counts) {
  has_failed_ = has_failed_ || !reason_.empty();
  at_best_ = Answerer::own_cookies;
  reason_.clear();
  is_trial_ = false;
  suspicion_.reset();
  spare_ns_ = 0;
  metadata_ = {counts.handed + counts.failed, counts.handed, metadata_.since_ns};
  way_ = {counts.handed, counts.tried, way_.since_ns};
  own_sample_ = {all_of(counts.samples.own), counts.samples.own.arrived, own_sample_.since_ns};
  kernel_sample_ = {all_of(counts.samples.kernel), counts.samples.kernel.arrived,
                    kernel_sample_.since_ns};
}

void Shortfall::fall(std::uint64_t now_ns, Answerer to, std::string reason) {
  at_best_ = to;
  suspicion_.reset();
  reason_ = std::move(reason);
  retry_ns_ = now_ns + retry_after_ns;
}

void Shortfall::observe(std::uint64_t now_ns, const HandoverCounts& counts, Answerer by) {
  if (!reason_.empty() && now_ns >= retry_ns_)
    retry(counts);
  judge_metadata(now_ns, counts);
  judge_way_to_tc(now_ns, counts);
  if (at_best_ == Answerer::own_cookies)
    judge_sample(now_ns, own_sample_, counts.samples.own);
  else if (at_best_ == Answerer::kernel_cookies)
    judge_sample(now_ns, kernel_sample_, counts.samples.kernel);
  if (is_trial_ && by == Answerer::stack)
    judge_trial(now_ns, counts);
}

// What moved since the judgement began, once there is enough of it; then another begins.
std::optional<Shortfall::Tally> Shortfall::enough_of(Tally& base, const Tally& now) const {
  if (base.since_ns == 0 || now.since_ns >= base.since_ns + memory_ns) {
    base = now;
    return std::nullopt;
  }
  const Tally moved = {now.all - base.all, now.through - base.through, base.since_ns};
  if (moved.all < (has_failed_ ? enough_again : enough_at_first))
    return std::nullopt;
  base = now;
  return moved;
}

void Shortfall::note_test(std::uint64_t now_ns, TestResult result, const std::string& interface) {
  if (result == TestResult::unknown || result == TestResult::unanswered ||
      at_best_ != Answerer::own_cookies)
    return;
  test_passed_ = result == TestResult::passed;
  lost_tests_ = result == TestResult::passed ? 0 : lost_tests_ + 1;
  if (lost_tests_ < enough_tests)
    return;
  const std::string lost =
      fmt::format("of {} handshakes of its own by interface {}, none ", lost_tests_, interface);
  lost_tests_ = 0;
  is_trial_ = false;
  switch (result) {
  case TestResult::lost_before_tc:
    return fall(now_ns, Answerer::kernel_cookies,
                fmt::format("{}reached TRAP's tc program: {}; {}", lost, before_tc, retries));
  case TestResult::lost_socket:
    return fall(now_ns, Answerer::kernel_cookies,
                fmt::format("{}became connections: {}; {}", lost, without_socket, retries));
  default:
    return fall(now_ns, Answerer::stack,
                fmt::format("{}became connections: {}; {}", lost, behind_tc, retries));
  }
}

// Some drivers leave XDP no room in front of a packet. Then each handshake fails there, and none is
// handed over.
void Shortfall::judge_metadata(std::uint64_t now_ns, const HandoverCounts& counts) {
  const auto moved = enough_of(metadata_, {counts.handed + counts.failed, counts.handed, now_ns});
  if (!moved || !is_short(moved->through, moved->all) || at_best_ != Answerer::own_cookies)
    return;
  fall(now_ns, Answerer::kernel_cookies,
       fmt::format("of {} handshakes, XDP could hand over {}: the interface's driver may take no "
                   "metadata: with xdp_mode = \"generic\" TRAP's own cookies work, with "
                   "net.ipv4.tcp_syncookies=2 the kernel's; {}",
                   moved->all, moved->through, retries));
}

// A client cannot avoid the tc program, so that these numbers need no second opinion.
void Shortfall::judge_way_to_tc(std::uint64_t now_ns, const HandoverCounts& counts) {
  const auto moved = enough_of(way_, {counts.handed, counts.tried, now_ns});
  if (!moved || !is_short(moved->through, moved->all) || at_best_ != Answerer::own_cookies)
    return;
  fall(now_ns, Answerer::kernel_cookies,
       fmt::format("of {} handshakes that XDP handed over, {} reached TRAP's tc program: {}; {}",
                   moved->all, moved->through, before_tc, retries));
}

// A few clients that a firewall bans can complete more handshakes than all others. Are the losses
// only theirs? Some network gets through, and so does the daemon itself, or a fourth of all.
bool Shortfall::is_of_some_clients(const NetworkCounts& networks) const {
  if (networks.arrived == 0)
    return false;
  return (test_passed_ && at_best_ == Answerer::own_cookies) ||
         !is_short(networks.arrived, networks.all);
}

// The last test may be a minute old.
void Shortfall::doubt_test(std::uint64_t now_ns) {
  if (test_passed_ && at_best_ == Answerer::own_cookies &&
      (doubted_ns_ == 0 || now_ns >= doubted_ns_ + 60 * ns_per_s))
    doubted_ns_ = now_ns;
}

// While handshakes of the daemon's own arrive, others get time to arrive as well.
bool Shortfall::lasts(std::uint64_t now_ns) {
  if (!test_passed_ || at_best_ != Answerer::own_cookies)
    return true;
  if (short_ns_ == 0 || now_ns >= short_ns_ + memory_ns)
    short_ns_ = now_ns;
  return now_ns >= short_ns_ + others_ns;
}

// The kernel's cookies would be lost in the same place as TRAP's.
void Shortfall::judge_sample(std::uint64_t now_ns, Tally& base, const SampleCounts& counts) {
  const auto moved = enough_of(base, {all_of(counts), counts.arrived, now_ns});
  if (!moved)
    return;
  if (!is_short(moved->through, moved->all)) {
    has_failed_ = false;
    short_ns_ = 0;
    return;
  }
  doubt_test(now_ns);
  if (is_of_some_clients(counts.networks)) {
    short_ns_ = 0;
    return;
  }
  if (now_ns >= spare_ns_)
    suspicion_ = {*moved, lasts(now_ns)};
}

// A client that the stack does not answer either is banned. One that it answers, and whose
// handshake with TRAP is lost, has lost it to the way.
void Shortfall::note_client_tests(std::uint64_t now_ns, const ClientTests& tests) {
  if (!suspicion_)
    return;
  const Suspicion suspicion = *suspicion_;
  suspicion_.reset();
  const bool is_way_lost = tests.lost > 0 && at_best_ == Answerer::own_cookies;
  if (tests.unanswered > 0 && tests.passed == 0 && !is_way_lost) {
    short_ns_ = 0;
    spare_ns_ = now_ns + ban_counts_ns;
    return;
  }
  if (!is_way_lost && !suspicion.lasts)
    return;
  fall(now_ns, Answerer::stack,
       fmt::format("of {} handshakes that went up to the stack, {} became connections: {}; {}",
                   suspicion.sample.all, suspicion.sample.through, behind_tc, retries));
  is_trial_ = true;
  trial_ns_ = 0;
}

// Clients that a firewall has banned complete handshakes with TRAP, and none with the stack.
void Shortfall::judge_trial(std::uint64_t now_ns, const HandoverCounts& counts) {
  if (trial_ns_ == 0) {
    trial_ns_ = now_ns;
    left_ = counts.left;
    completed_ = counts.completed;
  } else if (counts.completed != completed_) {
    is_trial_ = false;
  } else if (counts.left - left_ >= enough_at_first && now_ns >= trial_ns_ + trial_ns) {
    retry(counts);
    has_failed_ = false;
    spare_ns_ = now_ns + retry_after_ns;
  }
}

} // namespace trap::server
