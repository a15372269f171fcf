// SPDX-License-Identifier: Apache-2.0
// A SYN flood that outruns a victim's CPU: live frames of BPF_PROG_TEST_RUN, put on the router's
// end of the victim's link by a thread that has the last CPU. Bounded in count and time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "lab/network/topology.h"
#include "runtime/fd.h"
#include "runtime/kernel/program.h"
#include "runtime/result.h"

struct trap_flood;

namespace trap::lab {

struct TorrentOrder {
  Family family = Family::ipv4;
  std::string host;    // of the lab; its link carries the flood
  std::string address; // of it, flooded at `port`
  int port = 80;
  int per_second = 1; // at least 1
  std::chrono::seconds longest{20};
};

// The flood so far.
struct TorrentSeen {
  double seconds = 0;
  std::uint64_t offered = 0;  // frames that reached the link
  std::uint64_t received = 0; // packets, the clients' too, that the host's interface received
  [[nodiscard]] double offered_per_second() const { return rate(offered); }
  [[nodiscard]] double received_per_second() const { return rate(received); }

private:
  [[nodiscard]] double rate(std::uint64_t count) const {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  }
};

// Makes each end of a host's link receive by a thread of its own (threaded NAPI), the host's on CPU
// 0 and the router's on the last. Once for each host, before floods.
Result<void> prepare_flooded_link(const Topology& topology, const std::string& host);

// The router's end of a flooded link drops answers to the flood's sources, as long as this lives.
class Gate {
public:
  static Result<Gate> close(const Topology& topology, const std::string& host);
  Gate(Gate&& other) noexcept
      : topology_(std::exchange(other.topology_, nullptr)), host_(std::move(other.host_)),
        passed_before_(other.passed_before_) {}
  Gate& operator=(Gate&&) = delete;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();

private:
  Gate(const Topology& topology, std::string host, bool passed_before)
      : topology_(&topology), host_(std::move(host)), passed_before_(passed_before) {}
  const Topology* topology_;
  std::string host_;
  bool passed_before_; // an XDP program was there
};

class Torrent {
public:
  // The link must be prepared, and gets a gate. Returns once the host receives the flood; an error
  // if it never does.
  static Result<std::unique_ptr<Torrent>> start(const Topology& topology,
                                                const TorrentOrder& order);
  // Ends the flood.
  ~Torrent();
  Torrent(const Torrent&) = delete;
  Torrent& operator=(const Torrent&) = delete;

  // Since the last call, or since start().
  Result<TorrentSeen> seen();

private:
  using Clock = std::chrono::steady_clock;
  Torrent(const Topology& topology, TorrentOrder order, Program<trap_flood> program);
  void prepare_frame();
  void flood();
  Result<void> wait_until_received();
  [[nodiscard]] std::uint64_t offered() const;
  const Topology& topology_;
  const TorrentOrder order_;
  Program<trap_flood> program_;
  std::optional<Gate> gate_;
  Fd awake_;
  Bytes frame_;
  std::atomic<bool> over_ = false;
  std::atomic<int> failure_ = 0; // errno
  Clock::time_point since_{};
  std::uint64_t offered_before_ = 0, received_before_ = 0;
  std::thread thread_;
};

} // namespace trap::lab
