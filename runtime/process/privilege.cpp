// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/privilege.h"

#include <cstdio>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/core.h>

namespace trap {

Result<void> check_kernel_release(const std::string& release) {
  unsigned major = 0;
  unsigned minor = 0;
  if (sscanf(release.c_str(), "%u.%u", &major, &minor) != 2)
    return Error{fmt::format("cannot tell the kernel's version from \"{}\"", release)};
  if (major < kernel_major || (major == kernel_major && minor < kernel_minor))
    return Error{fmt::format("kernel {} is too old: TRAP needs {}.{} or later (Debian 12 has it)",
                             release, kernel_major, kernel_minor)};
  return {};
}

Result<void> check_kernel() {
  utsname name;
  if (uname(&name) != 0)
    return Error{"cannot ask the kernel for its version"};
  return check_kernel_release(name.release);
}

Result<void> check_privilege(bool needs_raw_sockets) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0)
    return Error{"cannot read this process's capabilities"};
  auto has = [&](unsigned capability) {
    return (data[capability / 32].effective >> (capability % 32) & 1) != 0;
  };
  std::string missing;
  if (!has(CAP_BPF) && !has(CAP_SYS_ADMIN))
    missing += " CAP_BPF";
  if (!has(CAP_PERFMON) &&
      !has(CAP_SYS_ADMIN)) // for reads at computed offsets, which the option walk does
    missing += " CAP_PERFMON";
  if (!has(CAP_NET_ADMIN))
    missing += " CAP_NET_ADMIN";
  if (needs_raw_sockets && !has(CAP_NET_RAW))
    missing += " CAP_NET_RAW";
  if (!missing.empty())
    return Error{fmt::format("no privilege: this needs{}: run it as root or from its systemd unit",
                             missing)};
  return {};
}

} // namespace trap
