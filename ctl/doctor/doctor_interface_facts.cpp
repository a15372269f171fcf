// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "ctl/doctor/doctor_gather.h"
#include "runtime/fd.h"

namespace trap::ctl {
namespace {

constexpr char hardware_gro_name[] = "rx-gro-hw";
constexpr std::size_t setting_limit_bytes = 64;

ifreq request_for(const std::string& name) {
  ifreq request = {};
  std::strncpy(request.ifr_name, name.c_str(), sizeof(request.ifr_name) - 1);
  return request;
}

bool ask_ethtool(int socket, const std::string& name, void* command) {
  ifreq request = request_for(name);
  request.ifr_data = static_cast<char*>(command);
  return ioctl(socket, SIOCETHTOOL, &request) == 0;
}

// The index of a feature among those of the interface, if it has it.
std::optional<std::uint32_t> find_feature(int socket, const std::string& name, const char* feature,
                                          std::uint32_t& count) {
  std::vector<char> counted(sizeof(ethtool_sset_info) + sizeof(std::uint32_t));
  auto* info = reinterpret_cast<ethtool_sset_info*>(counted.data());
  info->cmd = ETHTOOL_GSSET_INFO;
  info->sset_mask = 1ULL << ETH_SS_FEATURES;
  if (!ask_ethtool(socket, name, info) || info->sset_mask == 0)
    return std::nullopt;
  std::memcpy(&count, info->data, sizeof(count));
  std::vector<char> named(sizeof(ethtool_gstrings) + std::size_t{count} * ETH_GSTRING_LEN);
  auto* strings = reinterpret_cast<ethtool_gstrings*>(named.data());
  strings->cmd = ETHTOOL_GSTRINGS;
  strings->string_set = ETH_SS_FEATURES;
  strings->len = count;
  if (!ask_ethtool(socket, name, strings))
    return std::nullopt;
  for (std::uint32_t i = 0; i < count; i++) {
    if (std::strncmp(named.data() + sizeof(ethtool_gstrings) + std::size_t{i} * ETH_GSTRING_LEN,
                     feature, ETH_GSTRING_LEN) == 0)
      return i;
  }
  return std::nullopt;
}

struct Feature {
  bool is_on = false;
  bool is_fixed = false;
};

Feature hardware_gro(int socket, const std::string& name) {
  std::uint32_t count = 0;
  auto at = find_feature(socket, name, hardware_gro_name, count);
  if (!at)
    return {};
  const std::uint32_t blocks = (count + 31) / 32;
  std::vector<char> asked(sizeof(ethtool_gfeatures) + blocks * sizeof(ethtool_get_features_block));
  auto* features = reinterpret_cast<ethtool_gfeatures*>(asked.data());
  features->cmd = ETHTOOL_GFEATURES;
  features->size = blocks;
  if (!ask_ethtool(socket, name, features))
    return {};
  ethtool_get_features_block block;
  std::memcpy(&block, asked.data() + sizeof(ethtool_gfeatures) + *at / 32 * sizeof(block),
              sizeof(block));
  const std::uint32_t bit = std::uint32_t{1} << (*at % 32);
  return {.is_on = (block.active & bit) != 0,
          .is_fixed = (block.available & ~block.never_changed & bit) == 0};
}

bool lro_is_on(int socket, const std::string& name) {
  ethtool_value flags = {};
  flags.cmd = ETHTOOL_GFLAGS;
  return ask_ethtool(socket, name, &flags) && flags.data & ETH_FLAG_LRO;
}

// virtio_net switches the merging off by itself as long as a native program is attached, refuses to
// have the setting changed then, and goes on to report it as on.
bool merges_beside_native_xdp(int socket, const std::string& name) {
  ethtool_drvinfo driver = {};
  driver.cmd = ETHTOOL_GDRVINFO;
  return !ask_ethtool(socket, name, &driver) || std::strcmp(driver.driver, "virtio_net") != 0;
}

int rp_filter(const std::string& name) {
  auto text = read_file(fmt::format("/proc/sys/net/ipv4/conf/{}/rp_filter", name),
                        setting_limit_bytes, FileTrust::any);
  return text && !text->empty() ? (*text)[0] - '0' : 0;
}

std::string program_name(std::uint32_t id) {
  Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info = {};
  __u32 length = sizeof(info);
  return program && bpf_obj_get_info_by_fd(program.get(), &info, &length) == 0
             ? info.name
             : fmt::format("id {}", id);
}

void read_xdp(unsigned index, InterfaceFacts& facts) {
  LIBBPF_OPTS(bpf_xdp_query_opts, options);
  if (bpf_xdp_query(static_cast<int>(index), 0, &options) != 0 ||
      options.attach_mode == XDP_ATTACHED_NONE)
    return;
  facts.xdp_mode = options.attach_mode == XDP_ATTACHED_DRV   ? "native"
                   : options.attach_mode == XDP_ATTACHED_SKB ? "generic"
                   : options.attach_mode == XDP_ATTACHED_HW  ? "offloaded"
                                                             : "several";
  const std::uint32_t id = options.drv_prog_id   ? options.drv_prog_id
                           : options.skb_prog_id ? options.skb_prog_id
                                                 : options.hw_prog_id;
  facts.xdp_program = program_name(id);
}

} // namespace

InterfaceFacts gather_interface(const std::string& name) {
  InterfaceFacts facts;
  facts.name = name;
  const unsigned index = if_nametoindex(name.c_str());
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (index == 0 || !any)
    return facts;
  facts.exists = true;
  ifreq request = request_for(name);
  facts.is_up = ioctl(any.get(), SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP;
  request = request_for(name);
  facts.mtu =
      ioctl(any.get(), SIOCGIFMTU, &request) == 0 ? static_cast<unsigned>(request.ifr_mtu) : 0;
  facts.rp_filter = std::max(rp_filter("all"), rp_filter(name));
  read_xdp(index, facts);
  const bool lro = lro_is_on(any.get(), name);
  const Feature gro = hardware_gro(any.get(), name);
  facts.merges_packets = (lro || gro.is_on) &&
                         (facts.xdp_mode != "native" || merges_beside_native_xdp(any.get(), name));
  facts.merging_is_fixed = !lro && gro.is_fixed;
  return facts;
}

} // namespace trap::ctl
