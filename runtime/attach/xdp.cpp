// SPDX-License-Identifier: Apache-2.0
#include "runtime/attach/xdp.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <net/if.h>
#include <set>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/ranges.h>
#include <linux/if_link.h>

#include "runtime/attach/xdp_refusal.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/log.h"
#include "runtime/net/host_interfaces.h"

namespace trap {
namespace {

constexpr char link_prefix[] = "link-";
constexpr std::chrono::seconds between_refusals{30};

bool link_is_on(const Fd& link, unsigned index) {
  auto info = xdp_link_info(link.get());
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

std::string interface_of_pin(const std::string& pin_name) {
  std::string interface = pin_name.substr(std::string_view(link_prefix).size());
  std::replace(interface.begin(), interface.end(), ':', '.');
  return interface;
}

// True if another part goes on with the link.
Result<bool> leave_pinned(const std::string& pin_dir, const std::string& name, const Fd& link) {
  const auto info = xdp_link_info(link.get());
  if (!info || info->xdp.ifindex == 0)
    return false;
  const Fd program(bpf_obj_get((pin_dir + "/" + xdp_program_pin).c_str()));
  const Fd behind(bpf_obj_get((pin_dir + "/behind").c_str()));
  return leave_to_neighbor({.pin_dir = pin_dir,
                            .interface = interface_of_pin(name),
                            .index = info->xdp.ifindex,
                            .link_fd = link.get(),
                            .program_fd = program.get(),
                            .behind_fd = behind.get()});
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
    if (const auto info = link ? xdp_link_info(link.get()) : std::nullopt)
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

std::optional<bpf_link_info> xdp_link_info(int link_fd) {
  bpf_link_info info = {};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(link_fd, &info, &length) != 0)
    return std::nullopt;
  return info;
}

bool has_attached_links(const std::string& pin_dir) {
  std::error_code failed;
  for (std::filesystem::directory_iterator at(pin_dir, failed), end; !failed && at != end;
       at.increment(failed)) {
    if (!at->path().filename().string().starts_with(link_prefix))
      continue;
    const Fd link(bpf_obj_get(at->path().c_str()));
    const auto info = link ? xdp_link_info(link.get()) : std::nullopt;
    if (info && info->xdp.ifindex != 0)
      return true;
  }
  return false;
}

Result<void> check_interface(const std::string& interface, const PartConfig& config) {
  unsigned index = if_nametoindex(interface.c_str());
  if (index == 0 && errno != ENODEV) // as without a descriptor for the question
    return Error{fmt::format("cannot look interface {} up: {}", interface, error_text(errno))};
  if (index == 0 && !was_renamed(config.pin_dir, interface))
    return Error{fmt::format(
        R"({}: no interface "{}" here: correct "interfaces", or create it first (ip link shows what there is))",
        config.path, interface)};
  return {};
}

Result<Fd> XdpAttachments::create_pinned(const Attachment& attachment, unsigned index,
                                         XdpMode mode) const {
  unlink(attachment.pin_path.c_str());
  auto link = create_link(attachment.interface, index, mode, attachment.program_fd);
  if (!link)
    return link.error();
  if (auto pinned = pin(link->get(), attachment.pin_path); !pinned)
    return pinned.error();
  return std::move(*link);
}

Result<int> XdpAttachments::program_for(const HostInterface& interface) const {
  const auto framing = framing_of(interface.type);
  if (framing == Framing::ethernet)
    return programs_.ethernet;
  const std::string kind = interface.kind.empty() ? "" : fmt::format(" (kind {})", interface.kind);
  if (!framing)
    return Error{fmt::format("interface {}: trap-{} cannot read its link layer (ARPHRD {}){}: take "
                             "it out of \"interfaces\"",
                             interface.name, part_, interface.type, kind)};
  if (programs_.ip >= 0)
    return programs_.ip;
  if (part_ == "guard")
    return Error{fmt::format("interface {}: its packets have no Ethernet header any more{}: "
                             "restart trap-guard, which loads a program for such",
                             interface.name, kind)};
  return Error{fmt::format(
      "interface {}: its packets have no Ethernet header{}, and trap-{} reads frames: have "
      "clients come by an Ethernet interface, or take {} out of \"interfaces\"",
      interface.name, kind, part_, interface.name)};
}

Result<XdpAttachments::Attachment> XdpAttachments::attach(const HostInterface& interface) const {
  auto program = program_for(interface);
  if (!program)
    return program.error();
  const auto lock = lock_chain(pin_dir_);
  if (!lock)
    return lock.error();
  Attachment made;
  made.interface = interface.name;
  made.program_fd = *program;
  made.pin_path = pin_dir_ + "/" + link_pin_name(interface.name);
  Fd earlier(bpf_obj_get(made.pin_path.c_str()));
  const bool runs = earlier && link_is_on(earlier, interface.index);
  const bool changes_mode = runs && attached_xdp(interface.index).mode != xdp_mode_name(mode_);
  const auto neighbor = find_xdp_neighbor(pin_dir_, interface.name, interface.index);
  if (runs && !changes_mode) {
    made.link = std::move(earlier);
    made.from_earlier_run = true;
    return made;
  }
  if (neighbor)
    return join(std::move(made), *neighbor, interface.index);
  if (programs_.behind >= 0)
    bpf_map_delete_elem(programs_.behind, &interface.index); // of an interface that is gone
  if (changes_mode)
    bpf_link_detach(earlier.get()); // the modes exclude each other
  earlier.reset();
  auto link = create_pinned(made, interface.index, mode_);
  if (!link && changes_mode) {
    // The interface must not lose its protection: it keeps the new program with the old maps, in
    // the old mode, until the operator decides.
    static_cast<void>(create_pinned(made, interface.index,
                                    mode_ == XdpMode::native ? XdpMode::generic : XdpMode::native));
  }
  if (!link)
    return link.error();
  made.link = std::move(*link);
  return made;
}

// The interface is another part's already. Nothing of it changes before take_places().
Result<XdpAttachments::Attachment>
XdpAttachments::join(Attachment made, const XdpNeighbor& neighbor, unsigned index) const {
  if (const std::string refusal =
          sharing_refusal(neighbor, place_of(made, index), xdp_mode_name(mode_));
      !refusal.empty())
    return Error{fmt::format("interface {}: cannot attach XDP: {}", made.interface, refusal)};
  made.link = Fd(fcntl(neighbor.link.get(), F_DUPFD_CLOEXEC, 0));
  if (auto pinned = pin(made.link.get(), made.pin_path); !pinned)
    return pinned.error();
  made.from_earlier_run = true;
  made.joined = true;
  return made;
}

ChainPlace XdpAttachments::place_of(const Attachment& attachment, unsigned index) const {
  return {.pin_dir = pin_dir_,
          .interface = attachment.interface,
          .index = index,
          .link_fd = attachment.link.get(),
          .program_fd = attachment.program_fd,
          .behind_fd = programs_.behind,
          .earlier_id = earlier_id_};
}

bool XdpAttachments::is_only_matched(const std::string& interface) const {
  return !is_named(names_, interface);
}

XdpAttachments::Attachment* XdpAttachments::find(const std::string& interface) {
  const auto found = std::ranges::find(attachments_, interface, &Attachment::interface);
  return found == attachments_.end() ? nullptr : &*found;
}

Result<XdpAttachments> XdpAttachments::make(const PartConfig& config, XdpPrograms programs,
                                            Undo& undo) {
  XdpAttachments all;
  all.part_ = config.part;
  all.except_ = config.except;
  all.pin_dir_ = config.pin_dir;
  all.mode_ = config.xdp_mode;
  all.programs_ = programs;
  const Fd earlier(bpf_obj_get((all.pin_dir_ + "/" + xdp_program_pin).c_str()));
  all.earlier_id_ = earlier ? program_id_of(earlier.get()) : 0;
  // Before a link: a part that starts at the same time sees by it that this one shares.
  if (!earlier && programs.ethernet >= 0) {
    const std::string path = all.pin_dir_ + "/" + xdp_program_pin;
    if (auto pinned = pin(programs.ethernet, path); !pinned)
      return pinned.error();
    undo.add([path] { unlink(path.c_str()); });
  }
  auto found = list_interfaces();
  if (!found)
    return found.error();
  all.renamed_ = RenamedInterfaces(config.pin_dir, config.interfaces);
  all.renamed_.find(*found);
  all.names_ = all.renamed_.names();
  for (const HostInterface& interface : choose_for_xdp(all.names_, all.except_, *found)) {
    auto made = all.attach(interface);
    if (!made && !all.is_only_matched(interface.name))
      return made.error();
    if (!made) {
      all.refuse(interface, made.error().message);
      continue;
    }
    if (!made->from_earlier_run)
      undo.add([path = made->pin_path] {
        unlink(path.c_str());
      }); // the link's last holder goes with this process
    else if (made->joined)
      undo.add(
          [path = made->pin_path, place = all.place_of(*made, interface.index),
           link = std::make_shared<Fd>(fcntl(made->link.get(), F_DUPFD_CLOEXEC, 0))]() mutable {
            place.link_fd = link->get();
            static_cast<void>(leave_to_neighbor(place));
            unlink(path.c_str());
          });
    all.attachments_.push_back(std::move(*made));
  }
  all.look_for_uncovered(*found);
  return all;
}

Result<void> XdpAttachments::take_places() {
  auto lock = lock_chain(pin_dir_);
  if (!lock)
    return lock.error();
  if (programs_.ethernet >= 0) {
    if (auto pinned = pin(programs_.ethernet, pin_dir_ + "/" + xdp_program_pin); !pinned)
      return pinned.error();
  }
  for (Attachment& attachment : attachments_) {
    const auto info = xdp_link_info(attachment.link.get());
    if (!attachment.from_earlier_run || !info)
      continue;
    const ChainPlace place = place_of(attachment, info->xdp.ifindex);
    if (auto taken = take_place(place); !taken)
      return taken.error();
    attachment.from_earlier_run = false;
    const XdpChain chain = chain_at(place);
    if (attachment.joined)
      log::info({.interface = attachment.interface}, "interface {}: shared, {} {}",
                attachment.interface, chain.before.empty() ? "in front of" : "behind",
                fmt::join(chain.before.empty() ? chain.behind : chain.before, ", "));
  }
  keep_front_map();
  return {};
}

Result<void> XdpAttachments::swap_programs() {
  if (auto taken = take_places(); !taken)
    return taken.error();
  bool all_left = true;
  for (const std::string& name : list_pins(pin_dir_)) {
    if (!name.starts_with(link_prefix) ||
        std::ranges::any_of(attachments_, [&](const Attachment& attachment) {
          return link_pin_name(attachment.interface) == name;
        }))
      continue;
    Attachment unwanted;
    unwanted.pin_path = pin_dir_ + "/" + name;
    unwanted.interface = interface_of_pin(name);
    unwanted.program_fd = programs_.ethernet;
    unwanted.link = Fd(bpf_obj_get(unwanted.pin_path.c_str()));
    if (leave(unwanted))
      unlink(unwanted.pin_path.c_str());
    else
      all_left = false;
  }
  std::vector<unsigned> indexes; // once no other link has a program of ours
  for (const Attachment& attachment : attachments_)
    if (const auto info = xdp_link_info(attachment.link.get()))
      indexes.push_back(info->xdp.ifindex);
  if (programs_.behind >= 0 && all_left)
    keep_behind(programs_.behind, indexes);
  return {};
}

// True if the link's pin may go: another part goes on with the link, or nothing is to go on.
bool XdpAttachments::leave(const Attachment& attachment) const {
  const auto info = attachment.link ? xdp_link_info(attachment.link.get()) : std::nullopt;
  if (!info || info->xdp.ifindex == 0)
    return true;
  const auto left = leave_to_neighbor(place_of(attachment, info->xdp.ifindex));
  if (!left)
    log::error("{}", left.error().message);
  return bool(left);
}

// A neighbor that came, or whose program was replaced, and one whose program is not where it was.
void XdpAttachments::mend_places() {
  const bool lost = std::ranges::any_of(attachments_, [&](const Attachment& attachment) {
    const auto info = xdp_link_info(attachment.link.get());
    return attachment.from_earlier_run ||
           (info && info->xdp.ifindex != 0 && lost_place(place_of(attachment, info->xdp.ifindex)));
  });
  if (!lost)
    return keep_front_map();
  for (Attachment& attachment : attachments_) {
    const auto info = xdp_link_info(attachment.link.get());
    attachment.from_earlier_run =
        attachment.from_earlier_run ||
        (info && info->xdp.ifindex != 0 && lost_place(place_of(attachment, info->xdp.ifindex)));
  }
  if (auto taken = take_places(); !taken)
    log::error("{}", taken.error().message);
}

// The kernel empties a map of programs when the last descriptor and pin are gone: this part keeps
// the one that its program is behind in, so that the other's pins may go.
void XdpAttachments::keep_front_map() {
  if (programs_.behind >= 0)
    return;
  const std::string path = pin_dir_ + "/" + front_map_pin;
  Fd front;
  for (const Attachment& attachment : attachments_) {
    const auto info = xdp_link_info(attachment.link.get());
    if (info && info->xdp.ifindex != 0 && !front)
      front = front_map_of(place_of(attachment, info->xdp.ifindex));
  }
  if (!front && front_map_)
    unlink(path.c_str());
  if (front && map_id_of(front.get()) != map_id_of(front_map_.get())) {
    if (auto pinned = pin(front.get(), path); !pinned)
      log::error("{}", pinned.error().message);
  }
  front_map_ = std::move(front);
}

void XdpAttachments::refuse(const HostInterface& interface, const std::string& reason) {
  Refusal& refusal = refusals_[interface.name];
  if (interface.is_up && refusal.reason != reason)
    log::warn({.interface = interface.name}, "{}", reason);
  refusal = {interface.index, interface.is_up ? reason : "",
             std::chrono::steady_clock::now() + between_refusals};
}

// What has our program keeps it under any name.
void XdpAttachments::follow_names(const std::vector<HostInterface>& all) {
  for (Attachment& attachment : attachments_) {
    const auto info = xdp_link_info(attachment.link.get());
    if (!info || info->xdp.ifindex == 0)
      continue;
    const auto now = std::ranges::find(all, info->xdp.ifindex, &HostInterface::index);
    if (now == all.end() || now->name == attachment.interface || find(now->name) ||
        !renamed_.rename(attachment.link.get(), attachment.interface, now->name))
      continue;
    attachment.interface = now->name;
    attachment.pin_path = pin_dir_ + "/" + link_pin_name(now->name);
  }
  forget_names_of_the_gone();
  names_ = renamed_.names();
}

// A renamed interface that is gone comes back, if it does, by the name that it is configured with.
void XdpAttachments::forget_names_of_the_gone() {
  for (Attachment& attachment : attachments_) {
    const auto info = xdp_link_info(attachment.link.get());
    if (info && info->xdp.ifindex != 0)
      continue;
    attachment.interface = renamed_.forget(attachment.interface);
    attachment.pin_path = pin_dir_ + "/" + link_pin_name(attachment.interface);
  }
}

void XdpAttachments::attach_chosen(const std::vector<HostInterface>& chosen) {
  const auto now = std::chrono::steady_clock::now();
  for (const HostInterface& interface : chosen) {
    Attachment* before = find(interface.name);
    const auto info = before ? xdp_link_info(before->link.get()) : std::nullopt;
    if (info && info->xdp.ifindex != 0)
      continue; // at work, here or where the interface was renamed
    const auto refusal = refusals_.find(interface.name);
    if (refusal != refusals_.end() && refusal->second.index == interface.index &&
        now < refusal->second.until)
      continue;
    auto made = attach(interface);
    if (!made) {
      refuse(interface, made.error().message);
      continue;
    }
    refusals_.erase(interface.name);
    if (before) {
      *before = std::move(*made);
      log::warn({.interface = interface.name}, "interface {} has come back: attached again",
                interface.name);
    } else {
      attachments_.push_back(std::move(*made));
      log::info({.interface = interface.name}, "interface {}: attached", interface.name);
    }
  }
}

// A port of a bridge or bond keeps its program until that one has it.
void XdpAttachments::let_go(const std::vector<HostInterface>& all,
                            const std::vector<HostInterface>& chosen) {
  std::erase_if(refusals_, [&](const auto& entry) {
    return std::ranges::find(all, entry.first, &HostInterface::name) == all.end();
  });
  std::erase_if(attachments_, [&](const Attachment& attachment) {
    if (!is_only_matched(attachment.interface) ||
        std::ranges::find(chosen, attachment.interface, &HostInterface::name) != chosen.end())
      return false;
    const auto there = std::ranges::find(all, attachment.interface, &HostInterface::name);
    if (there != all.end() && there->master != 0) {
      const auto master = std::ranges::find(all, there->master, &HostInterface::index);
      if (master == all.end() || !find(master->name))
        return false;
    }
    if (!leave(attachment))
      return false;
    if (there == all.end())
      log::info({.interface = attachment.interface}, "interface {} is gone", attachment.interface);
    else
      log::info({.interface = attachment.interface}, "interface {}: no longer attached",
                attachment.interface);
    unlink(attachment.pin_path.c_str());
    return true;
  });
}

void XdpAttachments::look_for_uncovered(const std::vector<HostInterface>& all) {
  std::vector<std::string> attached;
  for (const Attachment& attachment : attachments_) {
    const auto info = xdp_link_info(attachment.link.get());
    const auto there = std::ranges::find(all, attachment.interface, &HostInterface::name);
    if (info && there != all.end() && info->xdp.ifindex == there->index)
      attached.push_back(attachment.interface);
  }
  std::map<std::string, std::string> refused;
  for (const auto& [interface, refusal] : refusals_) {
    if (!refusal.reason.empty())
      refused[interface] = refusal.reason;
  }
  uncovered_ = find_uncovered(all, attached, refused);
  const std::vector<Uncovered> more = decapsulation_.look();
  uncovered_.insert(uncovered_.end(), more.begin(), more.end());
}

void XdpAttachments::follow() {
  const auto all = list_interfaces();
  if (!all)
    return;
  follow_names(*all);
  const std::vector<HostInterface> chosen = choose_for_xdp(names_, except_, *all);
  attach_chosen(chosen);
  mend_places();
  let_go(*all, chosen);
  look_for_uncovered(*all);
}

std::vector<XdpState> XdpAttachments::states() const {
  std::vector<XdpState> states;
  for (const Attachment& attachment : attachments_) {
    XdpState state;
    state.interface = attachment.interface;
    state.configured = renamed_.configured_as(attachment.interface);
    state.index = if_nametoindex(attachment.interface.c_str());
    const AttachedXdp attached = attached_xdp(state.index);
    state.mode = attached.mode;
    state.program_id = attached.program_id;
    XdpChain chain = chain_at(place_of(attachment, state.index));
    state.ours = chain.ours;
    if (chain.ours)
      state.program_id = program_id_of(attachment.program_fd);
    state.before = std::move(chain.before);
    state.behind = std::move(chain.behind);
    states.push_back(std::move(state));
  }
  return states;
}

Fd XdpAttachments::program_behind() const {
  if (programs_.behind < 0)
    return Fd();
  for (const Attachment& attachment : attachments_) {
    auto neighbor = find_xdp_neighbor(pin_dir_, attachment.interface,
                                      if_nametoindex(attachment.interface.c_str()));
    if (neighbor && !neighbor->behind && neighbor->program)
      return std::move(neighbor->program);
  }
  return Fd();
}

std::vector<std::string> XdpAttachments::interfaces() const {
  std::vector<std::string> names;
  for (const Attachment& attachment : attachments_)
    names.push_back(attachment.interface);
  return names;
}

std::vector<Uncovered> would_be_uncovered(const PartConfig& config, bool reads_ip) {
  const auto all = list_interfaces();
  if (!all)
    return {};
  std::vector<std::string> attached;
  std::map<std::string, std::string> refused;
  for (const HostInterface& interface : choose_for_xdp(config.interfaces, config.except, *all)) {
    const auto framing = framing_of(interface.type);
    if (framing == Framing::ethernet || (framing == Framing::ip && reads_ip))
      attached.push_back(interface.name);
    else
      refused[interface.name] =
          fmt::format("its packets have no Ethernet header, and trap-{} reads frames", config.part);
  }
  std::vector<Uncovered> uncovered = find_uncovered(*all, attached, refused);
  const std::vector<Uncovered> more = Decapsulation().look();
  uncovered.insert(uncovered.end(), more.begin(), more.end());
  return uncovered;
}

bool may_have_ip_interface(const PartConfig& config) {
  if (std::ranges::any_of(config.interfaces, is_pattern))
    return true;
  const auto all = list_interfaces();
  return all && std::ranges::any_of(*all, [&](const HostInterface& interface) {
           return is_named(config.interfaces, interface.name) &&
                  framing_of(interface.type) == Framing::ip;
         });
}

std::vector<Pin> XdpAttachments::pins() const {
  std::vector<Pin> pins;
  for (const Attachment& attachment : attachments_) {
    const auto info = xdp_link_info(attachment.link.get());
    if (info && info->xdp.ifindex != 0)
      pins.push_back({attachment.pin_path, attachment.link.get()});
    if (const std::string was = renamed_.pin_of(attachment.interface); !was.empty())
      pins.push_back({was, attachment.link.get()});
  }
  if (programs_.ethernet >= 0)
    pins.push_back({pin_dir_ + "/" + xdp_program_pin, programs_.ethernet});
  if (front_map_)
    pins.push_back({pin_dir_ + "/" + front_map_pin, front_map_.get()});
  return pins;
}

std::vector<std::string> attached_interfaces(const std::string& pin_dir) {
  std::vector<std::string> interfaces;
  for (const std::string& name : list_pins(pin_dir)) {
    if (!name.starts_with(link_prefix))
      continue;
    const Fd link(bpf_obj_get(fmt::format("{}/{}", pin_dir, name).c_str()));
    const auto info = xdp_link_info(link.get());
    if (!info || info->xdp.ifindex == 0)
      continue;
    interfaces.push_back(interface_of_pin(name));
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
    auto left = leave_pinned(pin_dir, name, link);
    if (!left)
      return left.error();
    int failed = *left ? 0 : bpf_link_detach(link.get());
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
    const auto info = link ? xdp_link_info(link.get()) : std::nullopt;
    if (!info || info->type != BPF_LINK_TYPE_XDP || info->xdp.ifindex == 0 ||
        pinned.contains(info->id))
      continue;
    const std::string name = bpf_program_name(info->prog_id);
    if (name != program && name != program + "_ip")
      continue;
    // An index says nothing of the network namespace: what is attached to the interface here does.
    char here[IF_NAMESIZE] = {};
    if (!if_indextoname(info->xdp.ifindex, here) ||
        (!is_named(interfaces, here) && !is_matched(interfaces, here)) ||
        attached_xdp(info->xdp.ifindex).program_id != info->prog_id)
      continue;
    if (const int failed = bpf_link_detach(link.get()); failed && failed != -ENOLINK)
      return Error{fmt::format("interface {}: cannot detach a link without a pin: {}", here,
                               error_text(failed))};
    log::warn({.interface = here}, "interface {}: detached a link whose pin was gone", here);
    detached++;
  }
  return detached;
}

} // namespace trap
