// SPDX-License-Identifier: Apache-2.0
// Runs a program on many frames: BPF_PROG_TEST_RUN of a replay program, which restores or varies
// the frame and tail-calls the program.
#pragma once

#include <memory>
#include <string>

#include "bench/bpf/replay.h"
#include "runtime/result.h"
#include "tests/bpf/harness/object.h"

namespace trap::bench {

double thread_cpu_ns();

class Replayer {
public:
  // For programs at XDP, or at tc. An error if its own programs do not load.
  static Result<Replayer> load(bool xdp);

  // The frame, which the order may vary. An error if it is too long. Throws as rigs do if the order
  // cannot be written: see use_rigs.h.
  Result<void> set(const test::Bytes& frame, trap_replay_order order);
  // Continues with the next packet numbers. Returns nanoseconds of this thread's CPU, including the
  // replay. Throws as rigs do if the program does not run.
  double run(int program_fd, int packets);

  [[nodiscard]] const test::Object& floors() const { return *floors_; }
  [[nodiscard]] std::string empty() const { return xdp_ ? "empty_xdp" : "empty_tc"; }

private:
  Replayer(bool xdp, std::unique_ptr<test::Object> replay, std::unique_ptr<test::Object> floors)
      : xdp_(xdp), replay_(std::move(replay)), floors_(std::move(floors)) {}
  bool xdp_;
  test::Bytes frame_;
  std::unique_ptr<test::Object> replay_;
  std::unique_ptr<test::Object> floors_;
};

} // namespace trap::bench
