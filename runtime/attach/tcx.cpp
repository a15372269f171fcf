// SPDX-License-Identifier: Apache-2.0
#include "runtime/attach/tcx.h"

#include <array>
#include <cerrno>

#include <bpf/bpf.h>

namespace trap::tcx {
namespace {

// From include/uapi/linux/bpf.h of Linux 6.6; headers of 6.1, which the build may find, lack them.
constexpr auto tcx_ingress = static_cast<bpf_attach_type>(46);
constexpr auto tcx_egress = static_cast<bpf_attach_type>(47);
constexpr unsigned flag_before = 1U << 3;  // BPF_F_BEFORE: with no program named, before all
constexpr unsigned flag_replace = 1U << 2; // BPF_F_REPLACE
constexpr std::size_t most_programs = 64;  // BPF_MPROG_MAX, of which the last stays empty

bpf_attach_type attach_type(Direction direction) {
  return direction == Direction::ingress ? tcx_ingress : tcx_egress;
}

// libbpf returns -1 or a negative errno value, by the version's mode.
int error_of(int returned) {
  if (returned >= 0)
    return 0;
  return returned == -1 ? -errno : returned;
}

int query(unsigned interface_index, Direction direction, struct bpf_prog_query_opts& options) {
  return error_of(
      bpf_prog_query_opts(static_cast<int>(interface_index), attach_type(direction), &options));
}

} // namespace

bool is_available(unsigned interface_index) {
  LIBBPF_OPTS(bpf_prog_query_opts, options);
  const int failed = query(interface_index, Direction::ingress, options);
  return failed == 0 || failed == -ENOENT; // ENOENT: nothing was ever attached
}

std::vector<__u32> program_ids(unsigned interface_index, Direction direction) {
  std::array<__u32, most_programs> ids = {};
  LIBBPF_OPTS(bpf_prog_query_opts, options);
  options.prog_ids = ids.data();
  options.prog_cnt = ids.size();
  if (query(interface_index, direction, options) != 0)
    return {};
  return {ids.begin(), ids.begin() + options.prog_cnt};
}

int attach_first(unsigned interface_index, Direction direction, int program_fd) {
  LIBBPF_OPTS(bpf_prog_attach_opts, options);
  options.flags = flag_before;
  return error_of(bpf_prog_attach_opts(program_fd, static_cast<int>(interface_index),
                                       attach_type(direction), &options));
}

int replace(unsigned interface_index, Direction direction, int program_fd, int former_fd) {
  LIBBPF_OPTS(bpf_prog_attach_opts, options);
  options.flags = flag_replace;
  options.replace_prog_fd = former_fd;
  return error_of(bpf_prog_attach_opts(program_fd, static_cast<int>(interface_index),
                                       attach_type(direction), &options));
}

int detach(unsigned interface_index, Direction direction, int program_fd) {
  return error_of(
      bpf_prog_detach2(program_fd, static_cast<int>(interface_index), attach_type(direction)));
}

} // namespace trap::tcx
