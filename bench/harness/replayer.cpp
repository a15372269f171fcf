// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/replayer.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "bench/harness/use_rigs.h"
#include "tests/bpf/harness/rig.h"
#include "trap_floors.skel.h"
#include "trap_replay.skel.h"

namespace trap::bench {

double thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

Result<Replayer> Replayer::load(bool xdp) {
  return use_rigs([&]() -> Result<Replayer> {
    return Replayer{xdp, test::object_of(Program<trap_replay>::load()),
                    test::object_of(Program<trap_floors>::load())};
  });
}

Result<void> Replayer::set(const test::Bytes& frame, trap_replay_order order) {
  frame_ = frame;
  if (frame.size() > sizeof order.words)
    return Error{"the frame does not fit the replay program"};
  std::memcpy(order.words, frame.data(), frame.size());
  order.bytes = static_cast<__u32>(frame.size());
  replay_->put("replays", std::uint32_t{0}, order);
  return {};
}

double Replayer::run(int program_fd, int packets) {
  replay_->put(xdp_ ? "xdp_target" : "tc_target", std::uint32_t{0},
               static_cast<std::uint32_t>(program_fd));
  const double before_ns = thread_cpu_ns();
  replay_->run(xdp_ ? "replay_xdp" : "replay_tc", frame_, packets);
  return thread_cpu_ns() - before_ns;
}

} // namespace trap::bench
