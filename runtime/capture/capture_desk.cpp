// SPDX-License-Identifier: Apache-2.0
#include "runtime/capture/capture_desk.h"

#include <algorithm>
#include <cerrno>
#include <net/if.h>
#include <optional>

#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/control/command_words.h"
#include "runtime/json_text.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"
#include "runtime/nanoseconds.h"
#include "runtime/packet/trap_message.h"
#include "runtime/verdict_text.h"

namespace trap {
namespace {

using nlohmann::ordered_json;

std::optional<int> verdict_of(const std::string& name) {
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    if (name == verdict_name(verdict))
      return verdict;
  }
  return std::nullopt;
}

std::string interface_name(std::uint32_t index) {
  char name[IF_NAMESIZE] = "";
  return if_indextoname(index, name) ? name : fmt::format("if{}", index);
}

} // namespace

void CaptureDesk::FreeRing::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

CaptureDesk::~CaptureDesk() {
  end();
}

Result<std::string> CaptureDesk::command(const std::vector<std::string>& words,
                                         std::uint64_t now_ns) {
  tick(now_ns);
  if (words.size() >= 4 && words[1] == "begin")
    return begin(words, now_ns);
  const bool ends = words.size() == 3 && words[1] == "end";
  if (!ends && !(words.size() == 3 && words[1] == "more"))
    return Error{"a capture is POST /capture/begin/COUNT/VERDICT, then /capture/more/NUMBER and "
                 "/capture/end/NUMBER",
                 ExitCode::usage};
  if (!runs_ || number_in(words[2]) != number_)
    return Error{fmt::format("capture {} has ended: it was not asked for more for {} s", words[2],
                             kept_ns / ns_per_s)};
  std::string answer = more(now_ns);
  if (ends)
    end();
  return answer;
}

Result<std::string> CaptureDesk::begin(const std::vector<std::string>& words,
                                       std::uint64_t now_ns) {
  if (runs_)
    return Error{"another capture is under way: one at a time"};
  const auto count = number_in(words[2]);
  if (!count || *count == 0 || *count > most_packets)
    return Error{fmt::format("a capture has 1 to {} packets", most_packets), ExitCode::usage};
  std::fill(std::begin(wanted_), std::end(wanted_), 0);
  for (std::size_t i = 3; i < words.size(); i++) {
    const auto verdict = verdict_of(words[i]);
    if (!verdict)
      return Error{fmt::format("there is no verdict \"{}\"", words[i]), ExitCode::usage};
    wanted_[*verdict / 64] |= 1ULL << (*verdict % 64);
  }
  const auto on_sample = [](void* desk, void* sample, std::size_t size) {
    if (size >= sizeof(trap_captured))
      static_cast<CaptureDesk*>(desk)->take(*static_cast<const trap_captured*>(sample));
    return 0;
  };
  if (source_.ring_fd >= 0)
    ring_.reset(ring_buffer__new(source_.ring_fd, on_sample, this, nullptr));
  if (source_.ring_fd >= 0 && !ring_)
    return Error{fmt::format("cannot map the ring buffer of captures: {}", error_text(errno))};
  left_ = most_packets;
  if (ring_)
    ring_buffer__consume(ring_.get()); // of an earlier capture that was not read to its end
  packets_ = ordered_json::array();
  left_ = *count;
  runs_ = true;
  number_++;
  asked_ns_ = now_ns;
  lost_before_ = 0;
  for (const trap_capture_order* order : source_.orders())
    lost_before_ += order->lost;
  order(left_);
  log::info("capture {} of {} packets begins, by order", number_, *count);
  return json_text(ordered_json{{"capture", number_}});
}

// Programs may have been loaded since: each gets the whole order.
void CaptureDesk::order(std::uint64_t packets) {
  const auto left = static_cast<std::int64_t>(std::min(packets, most_at_once));
  for (trap_capture_order* order : source_.orders()) {
    std::copy(std::begin(wanted_), std::end(wanted_), order->wanted);
    __atomic_store_n(&order->left, left, __ATOMIC_RELEASE);
  }
}

void CaptureDesk::take(const trap_captured& sample) {
  if (left_ == 0)
    return;
  left_--;
  const trap_clock_anchor clocks = read_clocks();
  const bool at_ip = sample.flags & TRAP_CAPTURED_AT_IP;
  ordered_json packet = {
      {"at_ns", sample.monotonic_ns + clocks.unix_ns - clocks.monotonic_ns},
      {"verdict", verdict_name(static_cast<int>(sample.verdict))},
      {"service", source_.name_of_slot ? source_.name_of_slot(sample.slot) : ""},
      {"interface", interface_name(sample.ifindex)},
      {"link", at_ip ? "ip" : "ethernet"},
      {"direction", sample.flags & TRAP_CAPTURED_LEAVES ? "out" : "in"},
      {"monitored", (sample.flags & TRAP_CAPTURED_MONITORED) != 0},
      {"length", sample.packet_bytes},
      {"bytes",
       format_hex(sample.bytes, std::min<std::size_t>(sample.captured_bytes, TRAP_CAPTURE_BYTES))}};
  packets_.push_back(std::move(packet));
}

std::string CaptureDesk::more(std::uint64_t now_ns) {
  asked_ns_ = now_ns;
  if (ring_)
    ring_buffer__consume(ring_.get());
  std::uint64_t lost = 0;
  for (const trap_capture_order* order : source_.orders())
    lost += order->lost;
  ordered_json answer = {
      {"packets", std::move(packets_)}, {"lost", lost - lost_before_}, {"left", left_}};
  packets_ = ordered_json::array();
  order(left_);
  return json_text(answer);
}

void CaptureDesk::end() {
  if (!runs_)
    return;
  runs_ = false;
  order(0);
  ring_.reset();
  log::info("capture {} ends", number_);
}

void CaptureDesk::tick(std::uint64_t now_ns) {
  if (runs_ && now_ns - asked_ns_ > kept_ns)
    end();
}

} // namespace trap
