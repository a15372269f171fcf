// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/guarding/guard_watch.h"

#include <chrono>
#include <numeric>

#include <fmt/format.h>

#include "lab/hosts/counters.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr auto counting_deadline = std::chrono::seconds{2};

// Counters of the stack that an answer, or a packet that got through, would move.
constexpr std::string_view of_segments[] = {
    "Tcp.InSegs",      "Tcp.OutSegs",      "Tcp.OutRsts",      "Tcp.InErrs",
    "Tcp.ActiveOpens", "Tcp.PassiveOpens", "Tcp.AttemptFails", "Ip.ReasmReqds",
    "Ip6.ReasmReqds",  "Ip6.InHdrErrors",  "Ip.InHdrErrors",   "TcpExt.ListenDrops"};

// What others send, and what the service answers.
Counters without_bystanders(Counters moved) {
  std::erase_if(moved, [](const auto& one) {
    return one.first == "pass-other" || one.first.starts_with("pass-icmp") ||
           one.first == "pass-answer" || one.first.starts_with("pass-consent");
  });
  return moved;
}

std::uint64_t sum_of(const Counters& counters) {
  return std::accumulate(counters.begin(), counters.end(), std::uint64_t{0},
                         [](auto sum, const auto& one) { return sum + one.second; });
}

} // namespace

GuardWatch GuardWatch::begin(Scene& scene) {
  GuardWatch watch{scene};
  auto guard = scene.trap().guard().counters();
  auto stack = stack_counters(scene.host("service"));
  if (!guard || !stack)
    scene.check(false, "read the counters of guard and stack",
                (!guard ? guard.error() : stack.error()).message);
  else {
    watch.guard_before_ = std::move(*guard);
    watch.stack_before_ = std::move(*stack);
  }
  return watch;
}

Counters GuardWatch::wait_for(std::uint64_t packets) {
  Counters moved;
  for (const auto until = std::chrono::steady_clock::now() + counting_deadline;
       std::chrono::steady_clock::now() < until;) {
    const auto now = scene_->trap().guard().counters();
    moved = now ? without_bystanders(difference(guard_before_, *now)) : Counters{};
    if (sum_of(moved) >= packets || !sleep_for(milliseconds{20}))
      break;
  }
  return moved;
}

Counters GuardWatch::stack_moved() const {
  const auto now = stack_counters(scene_->host("service"));
  Counters moved;
  if (!now)
    return {{"unreadable", 1}};
  for (const std::string_view name : of_segments)
    if (const std::uint64_t more = count_of(*now, name) - count_of(stack_before_, name); more != 0)
      moved[std::string{name}] = more;
  return moved;
}

void GuardWatch::expect_only(const Counters& verdicts, std::string_view what) {
  const Counters moved = wait_for(sum_of(verdicts));
  scene_->check(moved == verdicts, fmt::format("{}: {}", what, text_of(verdicts)),
                "counted " + text_of(moved));
  const Counters noticed = stack_moved();
  scene_->check(noticed.empty(),
                fmt::format("{}: the stack notices nothing and says nothing", what),
                text_of(noticed));
}

void send_frames_to_service(Scene& scene, const std::vector<Bytes>& frames, std::string_view what) {
  const auto link = FrameSocket::open(scene.host("router"), "service");
  auto sent = link ? Result<void>{} : Result<void>{link.error()};
  for (std::size_t i = 0; sent && i < frames.size(); i++) {
    sent = link->send(frames[i]);
    if (i % 64 == 63) // a veth's ring has 256 places
      sleep_for(milliseconds{2});
  }
  if (!sent)
    scene.check(false, fmt::format("{}: {} frames are sent", what, frames.size()),
                sent.error().message);
}

namespace {

std::vector<Bytes> frames_of(const std::vector<Segment>& segments) {
  std::vector<Bytes> frames;
  for (const Segment& segment : segments)
    frames.push_back(frame_to(addresses_of("service"), segment));
  return frames;
}

} // namespace

void send_to_service(Scene& scene, const std::vector<Segment>& segments, std::string_view what) {
  send_frames_to_service(scene, frames_of(segments), what);
}

void expect_verdict_of_frames(Scene& scene, const std::vector<Bytes>& frames,
                              const std::string& verdict, std::string_view what) {
  GuardWatch watch = GuardWatch::begin(scene);
  send_frames_to_service(scene, frames, what);
  watch.expect_only({{verdict, frames.size()}}, what);
}

void expect_verdict(Scene& scene, const std::vector<Segment>& segments, const std::string& verdict,
                    std::string_view what) {
  expect_verdict_of_frames(scene, frames_of(segments), verdict, what);
}

Segment syn_from(std::string_view host, Family family) {
  return {.from = {address_from(addresses_of(host).address(family)), 40000},
          .to = {address_from(addresses_of("service").address(family)), service_port},
          .seq = 1,
          .flags = tcp_syn,
          .ip = {.fragment = 0}};
}

} // namespace trap::lab
