// SPDX-License-Identifier: Apache-2.0
#include <linux/magic.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "ctl/doctor/doctor_gather.h"
#include "runtime/process/privilege.h"

namespace trap::ctl {
namespace {

constexpr char btf_path[] = "/sys/kernel/btf/vmlinux";
constexpr char bpffs_path[] = "/sys/fs/bpf";
constexpr char assign_function[] = "bpf_sk_assign_tcp_reqsk";

std::string kernel_release() {
  utsname name;
  return uname(&name) == 0 ? name.release : "";
}

std::optional<bool> loads(bpf_prog_type type) {
  const int loaded = libbpf_probe_bpf_prog_type(type, nullptr);
  return loaded < 0 || geteuid() != 0 ? std::nullopt : std::optional(loaded == 1);
}

std::optional<bool> has_function(const char* name) {
  btf* kernel = btf__load_vmlinux_btf();
  if (!kernel)
    return std::nullopt;
  const bool found = btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC) > 0;
  btf__free(kernel);
  return found;
}

void read_clock_state(HostFacts& host) {
  timex state = {};
  const int answer = adjtimex(&state);
  if (answer < 0)
    return;
  host.clock_synchronised = answer != TIME_ERROR && !(state.status & STA_UNSYNC);
  host.clock_error_us = static_cast<std::uint64_t>(state.maxerror);
}

} // namespace

HostFacts gather_host(bool needs_raw_sockets) {
  HostFacts host;
  host.kernel_release = kernel_release();
  host.has_btf = access(btf_path, R_OK) == 0;
  struct statfs info;
  host.has_bpffs =
      statfs(bpffs_path, &info) == 0 && static_cast<unsigned long>(info.f_type) == BPF_FS_MAGIC;
  if (auto privilege = check_privilege(needs_raw_sockets); !privilege)
    host.privilege_problem = privilege.error().message;
  libbpf_set_print(nullptr);
  host.loads_xdp = loads(BPF_PROG_TYPE_XDP);
  host.loads_tc = loads(BPF_PROG_TYPE_SCHED_CLS);
  host.assigns_sockets = has_function(assign_function);
  read_clock_state(host);
  return host;
}

} // namespace trap::ctl
