// SPDX-License-Identifier: Apache-2.0
// trapctl doctor: the host, for any part.
#include <cstdio>

#include <fmt/core.h>

#include "ctl/doctor/doctor_checks.h"
#include "runtime/process/privilege.h"

namespace trap::ctl {
namespace {

constexpr std::uint64_t clock_error_max_us =
    1000000; // of the 60 s that tickets and announcements allow

bool is_since(const std::string& release, unsigned wanted_major, unsigned wanted_minor) {
  unsigned major = 0;
  unsigned minor = 0;
  return sscanf(release.c_str(), "%u.%u", &major, &minor) == 2 &&
         (major > wanted_major || (major == wanted_major && minor >= wanted_minor));
}

Finding kernel(const HostFacts& host) {
  if (auto fits = check_kernel_release(host.kernel_release); !fits)
    return {Grade::fail, fits.error().message, "install a newer kernel"};
  return ok("Linux " + host.kernel_release);
}

Finding btf(const HostFacts& host) {
  if (host.has_btf)
    return ok("the kernel describes its types");
  return {Grade::fail, "/sys/kernel/btf/vmlinux is not there",
          "run a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' are"};
}

Finding privilege(const HostFacts& host) {
  if (host.privilege_problem.empty())
    return ok("this process may load and attach BPF programs");
  return {Grade::warn, host.privilege_problem,
          "run trapctl doctor as root, or some checks are not possible"};
}

Finding programs(const HostFacts& host) {
  if (!host.loads_xdp || !host.loads_tc)
    return {Grade::warn, "it is not known whether the kernel loads XDP and tc programs",
            "run trapctl doctor as root"};
  if (!*host.loads_xdp)
    return {Grade::fail, "the kernel loads no XDP programs",
            "run a kernel built with CONFIG_BPF_SYSCALL=y"};
  if (!*host.loads_tc)
    return {Grade::fail, "the kernel loads no tc programs",
            "run a kernel built with CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS"};
  return ok("the kernel loads XDP and tc programs");
}

Finding sockets(const HostFacts& host) {
  if (host.assigns_sockets && *host.assigns_sockets)
    return ok("the kernel makes sockets of TRAP's own cookies (bpf_sk_assign_tcp_reqsk)");
  if (!is_since(host.kernel_release, 6, 9))
    return ok("before Linux 6.9, served clients get the kernel's own cookies, which work but "
              "need two sysctls of the host");
  if (!host.assigns_sockets)
    return {Grade::warn, "it is not known whether the kernel has bpf_sk_assign_tcp_reqsk",
            "run trapctl doctor as root"};
  return {Grade::warn,
          "the kernel has no bpf_sk_assign_tcp_reqsk: served clients get the kernel's own cookies",
          "run a kernel built with CONFIG_SYN_COOKIES=y"};
}

Finding bpffs(const HostFacts& host) {
  if (host.has_bpffs)
    return ok("a bpffs is at /sys/fs/bpf");
  return {Grade::warn, "no bpffs at /sys/fs/bpf: programs and maps would not outlive a daemon",
          "mount -t bpf bpf /sys/fs/bpf"};
}

Finding clock(const HostFacts& host) {
  if (!host.clock_synchronised)
    return {Grade::warn, "the kernel does not tell whether its clock is synchronised",
            "compare it with date on the other hosts"};
  if (!*host.clock_synchronised)
    return {Grade::warn,
            "the clock is not synchronised: when it is a minute off, tickets and announcements are "
            "refused",
            "run an NTP client, as with timedatectl set-ntp true"};
  if (host.clock_error_us > clock_error_max_us)
    return {Grade::warn, fmt::format("the clock may be {} ms off", host.clock_error_us / 1000),
            "look at chronyc tracking or timedatectl timesync-status"};
  return ok(fmt::format("synchronised, at most {} ms off", host.clock_error_us / 1000 + 1));
}

} // namespace

const char* grade_name(Grade grade) {
  return grade == Grade::ok ? "ok" : grade == Grade::warn ? "warn" : "fail";
}

std::span<const HostCheck> host_checks() {
  static constexpr HostCheck all[] = {
      {"kernel", "the kernel's version", kernel},
      {"btf", "/sys/kernel/btf/vmlinux", btf},
      {"privilege", "capabilities of this process", privilege},
      {"programs", "whether the kernel knows XDP and tc programs", programs},
      {"sockets", "bpf_sk_assign_tcp_reqsk", sockets},
      {"bpffs", "/sys/fs/bpf", bpffs},
      {"clock", "adjtimex(2)", clock},
  };
  return all;
}

} // namespace trap::ctl
