// SPDX-License-Identifier: Apache-2.0
// Samples of packets for `trapctl capture`: orders them from a part's programs, and hands them on.
// Off until root asks, and off again when the asking ends; a capture that is not asked for more
// ends by itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dataplane/captured.h"
#include "runtime/result.h"

struct ring_buffer;

namespace trap {

class CaptureDesk {
public:
  static constexpr std::uint64_t most_packets = 100000;
  static constexpr std::uint64_t most_at_once = 500;      // from one question to the next
  static constexpr std::uint64_t kept_ns = 3'000'000'000; // without a question

  struct Source {
    int ring_fd = -1; // of the map `captured`
    // The orders of all programs that are loaded, which may change.
    std::function<std::vector<trap_capture_order*>()> orders;
    std::function<std::string(std::uint32_t slot)> name_of_slot; // empty: none
  };

  CaptureDesk() = default;
  ~CaptureDesk();
  CaptureDesk(const CaptureDesk&) = delete;
  CaptureDesk& operator=(const CaptureDesk&) = delete;

  void open(Source source) { source_ = std::move(source); }

  // {"capture", "begin", COUNT, VERDICT...}: {"capture": NUMBER}. {"capture", "more", NUMBER}:
  // {"packets": [...], "lost", "left"}. {"capture", "end", NUMBER}: the same, for the last time.
  // One at a time; times in nanoseconds of CLOCK_MONOTONIC.
  Result<std::string> command(const std::vector<std::string>& words, std::uint64_t now_ns);

  // Every second or more often.
  void tick(std::uint64_t now_ns);

  // Adds one sample to those that the next question gets. For the ring buffer, and for tests.
  void take(const trap_captured& sample);

private:
  Result<std::string> begin(const std::vector<std::string>& words, std::uint64_t now_ns);
  std::string more(std::uint64_t now_ns);
  void order(std::uint64_t packets);
  void end();

  struct FreeRing {
    void operator()(ring_buffer* ring) const;
  };

  Source source_;
  std::unique_ptr<ring_buffer, FreeRing> ring_;
  bool runs_ = false;
  std::uint64_t number_ = 0;
  std::uint64_t asked_ns_ = 0;
  std::uint64_t left_ = 0; // that the capture may still have
  std::uint64_t lost_before_ = 0;
  std::uint64_t wanted_[2] = {};
  nlohmann::ordered_json packets_ = nlohmann::ordered_json::array();
};

} // namespace trap
