// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/explainer.h"

#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <linux/if_ether.h>

namespace trap {
namespace {

constexpr std::size_t room_for_growth =
    256; // an answer may be longer than what it answers, and has its metadata in front

} // namespace

Result<Explained> explain_frame(int program_fd, const Frame& frame) {
  if (frame.size() < ETH_HLEN)
    return Error{
        fmt::format("a frame of {} bytes: an Ethernet header has {}", frame.size(), ETH_HLEN),
        ExitCode::usage};
  Explained explained;
  explained.frame.resize(frame.size() + room_for_growth);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<__u32>(frame.size());
  options.data_out = explained.frame.data();
  options.data_size_out = static_cast<__u32>(explained.frame.size());
  options.repeat = 1;
  if (bpf_prog_test_run_opts(program_fd, &options) != 0)
    return Error{
        errno == EINVAL
            ? fmt::format("the kernel's test run does not take a frame of {} bytes", frame.size())
            : fmt::format("cannot run the program on a frame of {} bytes: {}", frame.size(),
                          error_text(errno))};
  explained.frame.resize(options.data_size_out);
  if ((options.retval & ~0xffff0000U & ~0xffU) != TRAP_EXPLAINED ||
      (options.retval & 0xff) >= TRAP_VERDICT_COUNT)
    return Error{
        fmt::format("the program returned {:#x}, which is no explanation", options.retval)};
  explained.verdict = static_cast<trap_verdict>(options.retval & 0xff);
  explained.slot = options.retval >> TRAP_EXPLAINED_SLOT_SHIFT & 0xff;
  if (std::uint32_t socket = options.retval >> TRAP_EXPLAINED_SOCKET_SHIFT; socket != 0)
    explained.socket = static_cast<trap_socket>(socket - 1);
  return explained;
}

const char* socket_text(trap_socket socket) {
  switch (socket) {
  case TRAP_SOCKET_LISTENS:
    return "a listener, and no connection";
  case TRAP_SOCKET_OPENS:
    return "a half-open connection";
  case TRAP_SOCKET_LIVES:
    return "an established or closing connection";
  case TRAP_SOCKET_LINGERS:
    return "a connection in TIME_WAIT";
  default:
    return "no socket";
  }
}

} // namespace trap
