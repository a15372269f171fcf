// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/xdp.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <net/if.h>
#include <set>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <linux/if_link.h>

#include "runtime/kernel/pinned_object.h"
#include "runtime/kernel/xdp_refusal.h"
#include "runtime/log.h"

namespace trap {
namespace {

constexpr char link_prefix[] = "link-";

// The attachment of a link: interface index (0 when its device is gone) and program; nothing if
// it cannot be read.
std::optional<bpf_link_info> link_info(int fd) {
  bpf_link_info info = {};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0)
    return std::nullopt;
  return info;
}

bool link_is_on(const Fd& link, unsigned index) {
  auto info = link_info(link.get());
  return info && info->type == BPF_LINK_TYPE_XDP && info->xdp.ifindex != 0 &&
         info->xdp.ifindex == index;
}

Result<Fd> create_link(const std::string& interface, unsigned index, XdpMode mode, int program_fd) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = mode == XdpMode::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  int fd = bpf_link_create(program_fd, static_cast<int>(index), BPF_XDP, &options);
  if (fd < 0)
    return xdp_refusal({.interface = interface,
                        .index = index,
                        .mode = mode,
                        .program_fd = program_fd,
                        .error_number = fd == -1 ? errno : -fd});
  return Fd(fd);
}

// Ids of the links of any TRAP daemon.
std::set<__u32> pinned_links_below(const std::filesystem::path& directory) {
  std::set<__u32> ids;
  std::error_code failed;
  for (std::filesystem::recursive_directory_iterator
           at(directory, std::filesystem::directory_options::skip_permission_denied, failed),
       end;
       !failed && at != end; at.increment(failed)) {
    if (!at->path().filename().string().starts_with(link_prefix))
      continue;
    const Fd link(bpf_obj_get(at->path().c_str()));
    if (const auto info = link ? link_info(link.get()) : std::nullopt)
      ids.insert(info->id);
  }
  return ids;
}

} // namespace

std::string link_pin_name(const std::string& interface) {
  std::string name = link_prefix + interface;
  std::replace(name.begin(), name.end(), '.', ':');
  return name;
}

__u32 program_id_of(int program_fd) {
  bpf_prog_info info = {};
  __u32 length = sizeof(info);
  return bpf_obj_get_info_by_fd(program_fd, &info, &length) == 0 ? info.id : 0;
}

Result<unsigned> interface_index(const std::string& interface, const PartConfig& config) {
  unsigned index = if_nametoindex(interface.c_str());
  if (index == 0 && errno != ENODEV) // as without a descriptor for the question
    return Error{fmt::format("cannot look interface {} up: {}", interface, error_text(errno))};
  if (index == 0)
    return Error{fmt::format(
        R"({}: no interface "{}" here: correct "interfaces", or create it first (ip link shows what there is))",
        config.path, interface)};
  return index;
}

Result<Fd> XdpAttachments::create_pinned(const Attachment& attachment, unsigned index,
                                         XdpMode mode) const {
  unlink(attachment.pin_path.c_str());
  auto link = create_link(attachment.interface, index, mode, program_fd_);
  if (!link)
    return link.error();
  if (auto pinned = pin(link->get(), attachment.pin_path); !pinned)
    return pinned.error();
  return std::move(*link);
}

Result<XdpAttachments::Attachment> XdpAttachments::attach(const std::string& interface) const {
  Attachment made;
  made.interface = interface;
  made.pin_path = pin_dir_ + "/" + link_pin_name(interface);
  const unsigned index = if_nametoindex(interface.c_str());
  Fd earlier(bpf_obj_get(made.pin_path.c_str()));
  const bool runs = earlier && link_is_on(earlier, index);
  const bool changes_mode = runs && attached_xdp(index).mode != xdp_mode_name(mode_);
  if (runs && !changes_mode) {
    made.link = std::move(earlier);
    made.from_earlier_run = true;
    return made;
  }
  if (changes_mode)
    bpf_link_detach(earlier.get()); // the modes exclude each other
  earlier.reset();
  auto link = create_pinned(made, index, mode_);
  if (!link && changes_mode) {
    // The interface must not lose its protection: it keeps the new program with the old maps, in
    // the old mode, until the operator decides.
    static_cast<void>(
        create_pinned(made, index, mode_ == XdpMode::native ? XdpMode::generic : XdpMode::native));
  }
  if (!link)
    return link.error();
  made.link = std::move(*link);
  return made;
}

Result<XdpAttachments> XdpAttachments::make(const PartConfig& config, int program_fd, Undo& undo) {
  XdpAttachments all;
  all.pin_dir_ = config.pin_dir;
  all.mode_ = config.xdp_mode;
  all.program_fd_ = program_fd;
  all.program_id_ = program_id_of(program_fd);
  for (const std::string& interface : config.interfaces) {
    auto made = all.attach(interface);
    if (!made)
      return made.error();
    if (!made->from_earlier_run)
      undo.add([path = made->pin_path] {
        unlink(path.c_str());
      }); // the link's last holder goes with this process
    all.attachments_.push_back(std::move(*made));
  }
  return all;
}

Result<void> XdpAttachments::swap_programs() {
  for (Attachment& attachment : attachments_) {
    if (!attachment.from_earlier_run)
      continue;
    if (int failed = bpf_link_update(attachment.link.get(), program_fd_, nullptr))
      return Error{fmt::format(
          "interface {}: cannot put the new XDP program in place of the running one: {}",
          attachment.interface, error_text(failed))};
    attachment.from_earlier_run = false;
  }
  for (const std::string& name : list_pins(pin_dir_)) {
    bool wanted = !name.starts_with(link_prefix) ||
                  std::any_of(attachments_.begin(), attachments_.end(), [&](const Attachment& a) {
                    return link_pin_name(a.interface) == name;
                  });
    if (!wanted)
      unlink((pin_dir_ + "/" + name).c_str());
  }
  return {};
}

void XdpAttachments::mend() {
  for (Attachment& attachment : attachments_) {
    unsigned index = if_nametoindex(attachment.interface.c_str());
    if (index == 0 || link_is_on(attachment.link, index))
      continue;
    auto info = link_info(attachment.link.get());
    if (info && info->xdp.ifindex != 0)
      continue; // alive elsewhere: the interface was renamed
    auto made = attach(attachment.interface);
    if (!made)
      continue;
    attachment = std::move(*made);
    log::warn({.interface = attachment.interface}, "interface {} has come back: attached again",
              attachment.interface);
  }
}

std::vector<XdpState> XdpAttachments::states() const {
  std::vector<XdpState> states;
  for (const Attachment& attachment : attachments_) {
    XdpState state;
    state.interface = attachment.interface;
    state.index = if_nametoindex(attachment.interface.c_str());
    const AttachedXdp attached = attached_xdp(state.index);
    state.mode = attached.mode;
    state.program_id = attached.program_id;
    state.ours = attached.program_id != 0 && attached.program_id == program_id_;
    states.push_back(std::move(state));
  }
  return states;
}

std::vector<Pin> XdpAttachments::pins() const {
  std::vector<Pin> pins;
  for (const Attachment& attachment : attachments_) {
    const auto info = link_info(attachment.link.get());
    if (info && info->xdp.ifindex != 0)
      pins.push_back({attachment.pin_path, attachment.link.get()});
  }
  return pins;
}

std::vector<std::string> attached_interfaces(const std::string& pin_dir) {
  std::vector<std::string> interfaces;
  for (const std::string& name : list_pins(pin_dir)) {
    if (!name.starts_with(link_prefix))
      continue;
    const Fd link(bpf_obj_get(fmt::format("{}/{}", pin_dir, name).c_str()));
    const auto info = link_info(link.get());
    if (!info || info->xdp.ifindex == 0)
      continue;
    std::string interface = name.substr(std::string_view(link_prefix).size());
    std::replace(interface.begin(), interface.end(), ':', '.');
    interfaces.push_back(std::move(interface));
  }
  return interfaces;
}

Result<unsigned> detach_pinned_links(const std::string& pin_dir) {
  unsigned detached = 0;
  for (const std::string& name : list_pins(pin_dir)) {
    if (!name.starts_with(link_prefix))
      continue;
    std::string path = fmt::format("{}/{}", pin_dir, name);
    Fd link(bpf_obj_get(path.c_str()));
    if (!link)
      return Error{fmt::format("cannot open pinned link {}: {}", path, error_text(errno))};
    int failed = bpf_link_detach(link.get());
    if (failed && failed != -ENOLINK && failed != -ENODEV)
      return Error{fmt::format("cannot detach {}: {}", path, error_text(failed))};
    unlink(path.c_str());
    detached++;
  }
  return detached;
}

Result<unsigned> detach_unpinned_links(const std::string& program, const std::string& pin_dir,
                                       const std::vector<std::string>& interfaces) {
  std::set<__u32> pinned = pinned_links_below("/sys/fs/bpf");
  pinned.merge(pinned_links_below(std::filesystem::path(pin_dir).parent_path()));
  unsigned detached = 0;
  for (__u32 id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const Fd link(bpf_link_get_fd_by_id(id));
    const auto info = link ? link_info(link.get()) : std::nullopt;
    if (!info || info->type != BPF_LINK_TYPE_XDP || info->xdp.ifindex == 0 ||
        pinned.contains(info->id) || bpf_program_name(info->prog_id) != program)
      continue;
    // An index says nothing of the network namespace: what is attached to the interface here does.
    const auto here = std::ranges::find_if(interfaces, [&](const std::string& interface) {
      return if_nametoindex(interface.c_str()) == info->xdp.ifindex &&
             attached_xdp(info->xdp.ifindex).program_id == info->prog_id;
    });
    if (here == interfaces.end())
      continue;
    if (const int failed = bpf_link_detach(link.get()); failed && failed != -ENOLINK)
      return Error{fmt::format("interface {}: cannot detach a link without a pin: {}", *here,
                               error_text(failed))};
    log::warn({.interface = *here}, "interface {}: detached a link whose pin was gone", *here);
    detached++;
  }
  return detached;
}

} // namespace trap
