// SPDX-License-Identifier: Apache-2.0
// Runs a program on many frames: BPF_PROG_TEST_RUN of a replay program, which restores or varies
// the frame and tail-calls the program.
#pragma once

#include <memory>
#include <string>

#include "bench/bpf/replay.h"
#include "tests/bpf/harness/object.h"

namespace trap::bench {

double thread_cpu_ns();

class Replayer {
public:
  // For programs at XDP, or at tc. Throws if its own programs do not load.
  explicit Replayer(bool xdp);

  // The frame, which the order may vary.
  void set(const test::Bytes& frame, trap_replay_order order);
  // Continues with the next packet numbers. Returns nanoseconds of this thread's CPU, including the
  // replay.
  double run(int program_fd, int packets);

  [[nodiscard]] const test::Object& floors() const { return *floors_; }
  [[nodiscard]] std::string empty() const { return xdp_ ? "empty_xdp" : "empty_tc"; }

private:
  bool xdp_;
  test::Bytes frame_;
  std::unique_ptr<test::Object> replay_;
  std::unique_ptr<test::Object> floors_;
};

} // namespace trap::bench
