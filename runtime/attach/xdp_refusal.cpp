// SPDX-License-Identifier: Apache-2.0
#include "runtime/attach/xdp_refusal.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <net/if.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/ranges.h>
#include <linux/if_link.h>

#include "runtime/attach/xdp.h"
#include "runtime/attach/xdp_cure.h"
#include "runtime/fd.h"

namespace trap {
namespace {

constexpr unsigned dispatcher_places = 10;
constexpr std::string_view kernel_says = "Kernel error message: ";
thread_local std::string kernel_message;

int keep_kernel_message(libbpf_print_level, const char* format, va_list arguments) {
  char line[256];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  const std::string_view text = line;
  if (const auto at = text.find(kernel_says); at != std::string_view::npos) {
    kernel_message = text.substr(at + kernel_says.size());
    while (kernel_message.ends_with('\n'))
      kernel_message.pop_back();
  }
  return length;
}

// The driver's own reason, empty if it gives none. A link carries none, so the program is attached
// once more by netlink, whose answers do; libbpf prints them.
std::string driver_reason(const XdpAttempt& attempt) {
  const unsigned flags =
      (attempt.mode == XdpMode::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE) |
      XDP_FLAGS_UPDATE_IF_NOEXIST;
  kernel_message.clear();
  const libbpf_print_fn_t usual = libbpf_set_print(keep_kernel_message);
  const int index = static_cast<int>(attempt.index);
  if (bpf_xdp_attach(index, attempt.program_fd, flags, nullptr) == 0)
    bpf_xdp_detach(index, flags & ~XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr);
  libbpf_set_print(usual);
  return kernel_message;
}

unsigned mtu_of(const std::string& interface) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
  return any && ioctl(any.get(), SIOCGIFMTU, &request) == 0 ? static_cast<unsigned>(request.ifr_mtu)
                                                            : 0;
}

// The link that holds this program at an interface; 0 if none does, or it cannot be found. The
// program tells it from links of other network namespaces, whose interfaces have the same indices.
__u32 link_of(unsigned index, __u32 program_id) {
  for (__u32 id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const Fd link(bpf_link_get_fd_by_id(id));
    bpf_link_info info = {};
    __u32 length = sizeof info;
    if (link && bpf_obj_get_info_by_fd(link.get(), &info, &length) == 0 &&
        info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == index && info.prog_id == program_id)
      return id;
  }
  return 0;
}

// Names of the programs behind libxdp's dispatcher, by its pins, as far as they can be opened.
std::string behind_dispatcher(unsigned index, __u32 program_id) {
  std::vector<std::string> names;
  for (unsigned place = 0; place < dispatcher_places; place++) {
    const Fd program(bpf_obj_get(
        fmt::format("/sys/fs/bpf/xdp/dispatch-{}-{}/prog{}-prog", index, program_id, place)
            .c_str()));
    if (program)
      names.push_back(fmt::format("\"{}\"", bpf_program_name(program_id_of(program.get()))));
  }
  return names.empty() ? "" : fmt::format(" with {} behind it", fmt::join(names, ", "));
}

// An interface takes one program. Removing a stranger's would remove its protection too, so the
// advice names its owner's tools.
std::string occupied(const XdpAttempt& attempt, const AttachedXdp& other) {
  const std::string name = bpf_program_name(other.program_id);
  const __u32 link = link_of(attempt.index, other.program_id);
  std::string cure = "stop the service that attached it, or name another interface";
  for (const char* part : {"server", "guard"})
    if (name == fmt::format("trap_{}", part))
      cure = fmt::format("it is trap-{}'s, and no pin_dir beside this one has its link: trap-{} "
                         "--detach removes it; to share the interface, server and guard need their "
                         "pin_dir in the same directory",
                         part, part);
  return fmt::format("another XDP program (id {}, \"{}\"{}{}) is attached in {} mode: {}",
                     other.program_id, name, link ? fmt::format(", by link {}", link) : "",
                     behind_dispatcher(attempt.index, other.program_id), other.mode, cure);
}

} // namespace

AttachedXdp attached_xdp(unsigned index) {
  LIBBPF_OPTS(bpf_xdp_query_opts, options);
  if (index == 0 || bpf_xdp_query(static_cast<int>(index), 0, &options) != 0)
    return {};
  switch (options.attach_mode) {
  case XDP_ATTACHED_DRV:
    return {"native", options.drv_prog_id};
  case XDP_ATTACHED_SKB:
    return {"generic", options.skb_prog_id};
  case XDP_ATTACHED_HW:
    return {"offloaded", options.hw_prog_id};
  default:
    return {options.attach_mode == XDP_ATTACHED_NONE ? "none" : "several", options.prog_id};
  }
}

std::string bpf_program_name(__u32 id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info = {};
  __u32 length = sizeof info;
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0)
    return "";
  return info.name;
}

Error xdp_refusal(const XdpAttempt& attempt) {
  const std::string what =
      fmt::format("interface {}: cannot attach XDP in {} mode: ", attempt.interface,
                  xdp_mode_name(attempt.mode));
  if (attempt.error_number == ENODEV)
    return Error{what + "the interface is gone"};
  const AttachedXdp other = attached_xdp(attempt.index);
  if (other.program_id != 0)
    return Error{what + occupied(attempt, other)};
  const std::string reason = driver_reason(attempt);
  const std::string error = error_text(attempt.error_number);
  if (attempt.mode != XdpMode::native)
    return Error{what + (reason.empty() ? error : reason)};
  return Error{what + cure_of_refusal({.interface = attempt.interface,
                                       .mtu = mtu_of(attempt.interface),
                                       .reason = reason,
                                       .error = error})};
}

} // namespace trap
