// SPDX-License-Identifier: Apache-2.0
#include "runtime/attach/xdp_chain.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <thread>

#include <bpf/bpf.h>
#include <fmt/core.h>

#include "runtime/attach/xdp.h"
#include "runtime/attach/xdp_refusal.h"

namespace trap {
namespace {

constexpr char behind_pin[] = "behind";
constexpr std::chrono::seconds lock_patience{1};
constexpr std::chrono::milliseconds lock_retry{5};

std::string name_of_program(int fd) {
  bpf_prog_info info = {};
  __u32 length = sizeof info;
  return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.name : "";
}

__u32 entries_of(int map_fd) {
  bpf_map_info info = {};
  __u32 length = sizeof info;
  return bpf_obj_get_info_by_fd(map_fd, &info, &length) == 0 ? info.max_entries : 0;
}

__u32 program_behind(int map_fd, unsigned index) {
  __u32 id = 0;
  return bpf_map_lookup_elem(map_fd, &index, &id) == 0 ? id : 0;
}

Result<void> put_behind(int map_fd, const std::string& interface, unsigned index, int program_fd) {
  if (bpf_map_update_elem(map_fd, &index, &program_fd, BPF_ANY) == 0)
    return {};
  return Error{fmt::format("interface {}: cannot put an XDP program behind trap-server's: {}",
                           interface, error_text(errno))};
}

// Directory above a part's, without the slash that it may end with.
std::filesystem::path parent_of(const std::string& pin_dir) {
  const auto path = std::filesystem::path(pin_dir).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).parent_path();
}

Result<void> put_in_link(const ChainPlace& place, int program_fd) {
  if (const int failed = bpf_link_update(place.link_fd, program_fd, nullptr))
    return Error{
        fmt::format("interface {}: cannot put the new XDP program in place of the running one: {}",
                    place.interface, error_text(failed))};
  return {};
}

// The neighbor at the same link.
std::optional<XdpNeighbor> sharer_of(const ChainPlace& place) {
  const auto link = xdp_link_info(place.link_fd);
  auto neighbor = find_xdp_neighbor(place.pin_dir, place.interface, place.index);
  if (!link || !neighbor || neighbor->link_id != link->id ||
      bool(neighbor->behind) == (place.behind_fd >= 0))
    return std::nullopt;
  return neighbor;
}

bool is_own(const ChainPlace& place, __u32 id) {
  return id != 0 && (id == place.earlier_id || id == program_id_of(place.program_fd));
}

std::string shown_name(__u32 program_id) {
  const std::string name = bpf_program_name(program_id);
  return name.empty() ? fmt::format("program {}", program_id) : name;
}

} // namespace

std::optional<XdpNeighbor> find_xdp_neighbor(const std::string& pin_dir,
                                             const std::string& interface, unsigned index) {
  namespace fs = std::filesystem;
  const __u32 attached = attached_xdp(index).program_id;
  if (attached == 0)
    return std::nullopt;
  std::error_code failed;
  for (fs::directory_iterator at(parent_of(pin_dir), failed), end; !failed && at != end;
       at.increment(failed)) {
    const std::string directory = at->path().string();
    std::error_code elsewhere;
    if (fs::equivalent(at->path(), pin_dir, elsewhere))
      continue;
    XdpNeighbor found;
    found.link = Fd(bpf_obj_get((directory + "/" + link_pin_name(interface)).c_str()));
    const auto link = found.link ? xdp_link_info(found.link.get()) : std::nullopt;
    if (!link || link->type != BPF_LINK_TYPE_XDP || link->xdp.ifindex != index ||
        link->prog_id != attached)
      continue;
    found.pin_dir = directory;
    found.link_id = link->id;
    found.front_id = link->prog_id;
    found.program = Fd(bpf_obj_get((directory + "/" + xdp_program_pin).c_str()));
    found.behind = Fd(bpf_obj_get((directory + "/" + behind_pin).c_str()));
    found.program_name = name_of_program(found.program.get());
    return found;
  }
  return std::nullopt;
}

Result<Fd> lock_chain(const std::string& pin_dir) {
  const std::string above = parent_of(pin_dir).string();
  Fd directory(open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory)
    return Error{fmt::format("cannot open {}: {}", above, error_text(errno))};
  const auto until = std::chrono::steady_clock::now() + lock_patience;
  while (flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() > until)
      return Error{fmt::format("cannot lock {}: {}: another part of TRAP attaches or detaches",
                               above, error_text(errno))};
    std::this_thread::sleep_for(lock_retry);
  }
  return directory;
}

// While an interface is renamed, the neighbor's pin has another name than ours, and the map is
// found by our pin of it.
Fd front_map_of(const ChainPlace& place) {
  if (place.behind_fd >= 0 || is_own(place, attached_xdp(place.index).program_id))
    return Fd();
  if (auto neighbor = sharer_of(place))
    return std::move(neighbor->behind);
  Fd kept(bpf_obj_get((place.pin_dir + "/" + front_map_pin).c_str()));
  return kept && is_own(place, program_behind(kept.get(), place.index)) ? std::move(kept) : Fd();
}

__u32 map_id_of(int map_fd) {
  bpf_map_info info = {};
  __u32 length = sizeof info;
  return map_fd >= 0 && bpf_obj_get_info_by_fd(map_fd, &info, &length) == 0 ? info.id : 0;
}

Result<void> take_place(const ChainPlace& place) {
  if (const Fd front = front_map_of(place))
    return put_behind(front.get(), place.interface, place.index, place.program_fd);
  const auto neighbor = place.behind_fd >= 0 ? sharer_of(place) : std::nullopt;
  if (neighbor) {
    if (auto put =
            put_behind(place.behind_fd, place.interface, place.index, neighbor->program.get());
        !put)
      return put.error();
  }
  return put_in_link(place, place.program_fd);
}

void keep_behind(int behind_fd, const std::vector<unsigned>& indexes) {
  const __u32 entries = entries_of(behind_fd);
  for (__u32 index = 0; index < entries; index++)
    if (std::ranges::find(indexes, index) == indexes.end())
      bpf_map_delete_elem(behind_fd, &index);
}

bool lost_place(const ChainPlace& place) {
  const auto neighbor = sharer_of(place);
  if (!neighbor)
    return false;
  const __u32 own = program_id_of(place.program_fd);
  const __u32 front = attached_xdp(place.index).program_id;
  if (place.behind_fd >= 0)
    return front != own ||
           program_behind(place.behind_fd, place.index) != program_id_of(neighbor->program.get());
  return front != own && program_behind(neighbor->behind.get(), place.index) != own;
}

Result<bool> leave_to_neighbor(const ChainPlace& place) {
  auto lock = lock_chain(place.pin_dir);
  if (!lock)
    return lock.error();
  const auto neighbor = sharer_of(place);
  if (!neighbor || (place.behind_fd < 0 && is_own(place, neighbor->front_id)))
    return false;
  if (place.behind_fd < 0) {
    bpf_map_delete_elem(neighbor->behind.get(), &place.index);
    return true;
  }
  if (auto put = put_in_link(place, neighbor->program.get()); !put)
    return put.error();
  bpf_map_delete_elem(place.behind_fd, &place.index);
  return true;
}

std::string sharing_refusal(const XdpNeighbor& neighbor, const ChainPlace& place,
                            const std::string& mode) {
  const std::string whose = "the part with pin_dir " + neighbor.pin_dir;
  if (!neighbor.program)
    return fmt::format("{} is attached there, and is of an earlier version, which shares no "
                       "interface: restart it first",
                       whose);
  if (bool(neighbor.behind) == (place.behind_fd >= 0))
    return fmt::format("{} is attached there: trap-server and trap-guard can share an interface, "
                       "but not two of a kind",
                       whose);
  if (const std::string is = attached_xdp(place.index).mode; is != mode)
    return fmt::format("{} is attached there in {} mode: write the same xdp_mode for both", whose,
                       is);
  const int map = place.behind_fd >= 0 ? place.behind_fd : neighbor.behind.get();
  if (place.index >= entries_of(map))
    return fmt::format("{} is attached there, and interfaces with an index above {} cannot be "
                       "shared (this one: {})",
                       whose, entries_of(map) - 1, place.index);
  return "";
}

XdpChain chain_at(const ChainPlace& place) {
  XdpChain chain;
  const __u32 own = program_id_of(place.program_fd);
  const __u32 front = attached_xdp(place.index).program_id;
  chain.ours = own != 0 && front == own;
  if (place.behind_fd >= 0) {
    if (const __u32 id = program_behind(place.behind_fd, place.index)) {
      const auto neighbor = sharer_of(place);
      chain.behind.push_back(neighbor && program_id_of(neighbor->program.get()) == id
                                 ? neighbor->program_name
                                 : shown_name(id));
    }
  } else if (const Fd map = own == 0 ? Fd() : front_map_of(place)) {
    chain.ours = program_behind(map.get(), place.index) == own;
    const auto neighbor = sharer_of(place);
    chain.before.push_back(neighbor && !neighbor->program_name.empty() ? neighbor->program_name
                                                                       : shown_name(front));
  }
  return chain;
}

XdpChain pinned_chain_at(const std::string& pin_dir, const std::string& interface, unsigned index) {
  const Fd link(bpf_obj_get((pin_dir + "/" + link_pin_name(interface)).c_str()));
  const Fd program(bpf_obj_get((pin_dir + "/" + xdp_program_pin).c_str()));
  const Fd behind(bpf_obj_get((pin_dir + "/" + behind_pin).c_str()));
  return chain_at({.pin_dir = pin_dir,
                   .interface = interface,
                   .index = index,
                   .link_fd = link.get(),
                   .program_fd = program.get(),
                   .behind_fd = behind.get()});
}

} // namespace trap
