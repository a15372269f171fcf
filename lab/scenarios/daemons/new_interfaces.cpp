// SPDX-License-Identifier: Apache-2.0
// For how long is an interface open that is made, and comes up in the same moment, under a guard
// whose "interfaces" match it? Prints how long that took, of twenty.
#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <net/if.h>

#include "lab/scenarios/daemons/daemon_host.h"
#include "runtime/attach/xdp_refusal.h"

namespace trap::lab {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr int interfaces_made = 20;
constexpr std::chrono::seconds longest_wait{20}; // for one of them, on a machine of any kind

// Waits in a host until an interface is there, and then until it has a program at XDP.
class Wait {
public:
  Wait(const Host& host, std::string name)
      : thread_([this, &host, name = std::move(name)] {
          const InHost inside{host};
          const Clock::time_point end = Clock::now() + longest_wait;
          unsigned index = 0;
          while ((index = if_nametoindex(name.c_str())) == 0 && Clock::now() < end)
            std::this_thread::sleep_for(microseconds{100});
          const Clock::time_point made = Clock::now();
          while (index != 0 && attached_xdp(index).program_id == 0 && Clock::now() < end)
            std::this_thread::sleep_for(microseconds{500}); // a question holds up the answer
          if (index != 0 && attached_xdp(index).program_id != 0)
            open_for_ = std::chrono::duration_cast<microseconds>(Clock::now() - made);
        }) {}

  std::optional<microseconds> finish() {
    thread_.join();
    return open_for_;
  }

private:
  std::optional<microseconds> open_for_;
  std::thread thread_;
};

void new_interfaces(Scene& scene) {
  const auto host = DaemonHost::make(scene);
  if (!host ||
      !scene.done(host->daemon(DaemonKind::guard)
                      .configure("except = [\"trap*\"]\n" + host->configuration(DaemonKind::guard),
                                 R"("*")"),
                  "the guard is to be at every interface") ||
      !host->start(DaemonKind::guard))
    return;
  std::vector<microseconds> took;
  for (int i = 0; i < interfaces_made; i++) {
    const std::string name = fmt::format("new{}", i);
    Wait wait(host->host(), name);
    const auto made =
        host->host().ip(fmt::format("link add {} up type veth peer name peer{} netns {}", name, i,
                                    host->neighbour().namespace_name()));
    const auto open_for = wait.finish();
    if (!scene.done(made, fmt::format("{} is made, and is up", name)) ||
        !scene.check(open_for.has_value(), fmt::format("{} has the guard's program", name),
                     "it has none"))
      return;
    took.push_back(*open_for);
  }
  std::ranges::sort(took);
  const auto ms = [](microseconds time) { return static_cast<double>(time.count()) / 1000; };
  scene.note(fmt::format("open for {:.1f} ms in the median, {:.1f} to {:.1f} ms, of {}",
                         ms(took[interfaces_made / 2]), ms(took.front()), ms(took.back()),
                         interfaces_made));
}

const Registration register_new_interfaces{{
    .name = "new-interfaces",
    .goal = "an interface that is made has the guard's program as soon as the kernel tells of it",
    .plan = daemons_plan(),
    .run_class = RunClass::busy,
    .play = new_interfaces,
}};

} // namespace
} // namespace trap::lab
