// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/process_metrics.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/resource.h>
#include <unistd.h>

namespace trap {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

} // namespace

void measure_process(Metrics& metrics, const std::string& part) {
  const Labels labels = {{"part", part}};
  rusage used;
  if (getrusage(RUSAGE_SELF, &used) == 0)
    metrics.counter("process_cpu_seconds_total", "CPU time of the daemon, in user and kernel mode",
                    labels, seconds(used.ru_utime) + seconds(used.ru_stime));
  std::ifstream statm("/proc/self/statm");
  if (long whole = 0, resident = 0; statm >> whole >> resident) {
    const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
    metrics.gauge("process_virtual_memory_bytes", "Virtual memory of the daemon", labels,
                  static_cast<double>(whole) * page_bytes);
    metrics.gauge("process_resident_memory_bytes",
                  "Memory of the daemon; maps of BPF programs are the kernel's", labels,
                  static_cast<double>(resident) * page_bytes);
  }
  std::error_code failed;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", failed);
  if (!failed)
    metrics.gauge("process_open_fds", "Open file descriptors of the daemon", labels,
                  static_cast<double>(std::distance(begin(descriptors), end(descriptors))));
  if (rlimit limit; getrlimit(RLIMIT_NOFILE, &limit) == 0)
    metrics.gauge("process_max_fds", "Most file descriptors that the daemon may open", labels,
                  static_cast<double>(limit.rlim_cur));
}

} // namespace trap
