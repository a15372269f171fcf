// SPDX-License-Identifier: Apache-2.0
#include "lab/network/receive_path.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <sched.h>

#include <fmt/format.h>

#include "lab/hosts/cpus.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds command_deadline{5000};
// Few enough frames arrive meanwhile for a veth's ring of 256.
constexpr std::chrono::nanoseconds moderation{25'000};

// The kernel calls the threads napi/INTERFACE-NUMBER, whichever namespace the interface is in.
std::set<pid_t> threads_of(const std::string& interface) {
  std::set<pid_t> found;
  std::error_code ignored;
  const std::string prefix = ("napi/" + interface + "-").substr(0, 15);
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    std::string name;
    if (pid > 0 && std::getline(std::ifstream{entry.path() / "comm"}, name) &&
        name.starts_with(prefix))
      found.insert(pid);
  }
  return found;
}

Result<void> make_threaded(const Host& host, const std::string& interface) {
  // A veth has NAPI if it has GRO, and keeps it when XDP programs come and go.
  if (auto set =
          run_checked(host.command({"ethtool", "-K", interface, "gro", "on"}), command_deadline);
      !set)
    return set.error();
  // /sys shows the interfaces of the namespace that mounted it.
  const Command command{{"ip", "netns", "exec", host.namespace_name(), "sh", "-c",
                         fmt::format("cd /sys/class/net/{} && echo 1 >threaded && "
                                     "echo 2 >napi_defer_hard_irqs && echo {} >gro_flush_timeout",
                                     interface, moderation.count())}};
  if (auto set = run_checked(command, command_deadline); !set)
    return set.error();
  return {};
}

} // namespace

Result<void> receive_on_cpu(const Host& host, const std::string& interface, int cpu,
                            std::optional<int> nice) {
  const std::set<pid_t> before = threads_of(interface);
  if (auto made = make_threaded(host, interface); !made)
    return made;
  std::set<pid_t> made;
  for (const pid_t pid : threads_of(interface))
    if (!before.contains(pid))
      made.insert(pid);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(cpu), &one);
  if (made.empty())
    return Error{
        fmt::format("{}'s interface {} has no thread that receives", host.name(), interface)};
  const sched_param before_all{1};
  for (const pid_t pid : made) {
    // Containers may have no leave for it.
    if (nice || sched_setscheduler(pid, SCHED_FIFO, &before_all) != 0)
      prefer(pid, nice.value_or(measured_nice));
    if (sched_setaffinity(pid, sizeof one, &one) != 0)
      return Error{fmt::format("cannot keep what {}'s interface {} receives to CPU {}: {}",
                               host.name(), interface, cpu, error_text(errno))};
  }
  return {};
}

} // namespace trap::lab
