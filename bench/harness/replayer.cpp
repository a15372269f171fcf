// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/replayer.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "trap_floors.skel.h"
#include "trap_replay.skel.h"

namespace trap::bench {

using test::Object;

double thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

Replayer::Replayer(bool xdp) : xdp_(xdp) {
  trap_replay* replay = trap_replay__open_and_load();
  trap_floors* floors = trap_floors__open_and_load();
  if (replay == nullptr || floors == nullptr)
    throw std::runtime_error("cannot load the replay programs: " + test::last_libbpf_warning());
  replay_ = std::make_unique<Object>(replay->obj, [replay] { trap_replay__destroy(replay); });
  floors_ = std::make_unique<Object>(floors->obj, [floors] { trap_floors__destroy(floors); });
}

void Replayer::set(const test::Bytes& frame, trap_replay_order order) {
  frame_ = frame;
  if (frame.size() > sizeof order.words)
    throw std::runtime_error("the frame does not fit the replay program");
  std::memcpy(order.words, frame.data(), frame.size());
  order.bytes = static_cast<__u32>(frame.size());
  replay_->put("replays", std::uint32_t{0}, order);
}

double Replayer::run(int program_fd, int packets) {
  replay_->put(xdp_ ? "xdp_target" : "tc_target", std::uint32_t{0},
               static_cast<std::uint32_t>(program_fd));
  const double before_ns = thread_cpu_ns();
  replay_->run(xdp_ ? "replay_xdp" : "replay_tc", frame_, packets);
  return thread_cpu_ns() - before_ns;
}

} // namespace trap::bench
