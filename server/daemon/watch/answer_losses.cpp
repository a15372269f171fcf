// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/watch/answer_losses.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "runtime/fd.h"
#include "runtime/nanoseconds.h"
#include "server/daemon/watch/veth_peer.h"

namespace trap::server {
namespace {

constexpr std::uint64_t every_ns = 5 * ns_per_s; // some drivers ask their firmware
constexpr std::uint64_t memory_ns = 60 * ns_per_s;
constexpr std::uint64_t retry_after_ns = 600 * ns_per_s;
constexpr std::uint64_t enough = 4;           // lost answers, before they say something of all
constexpr std::uint32_t counters_max = 65536; // no driver has more

bool ask(const Fd& any, const std::string& interface, void* question) {
  ifreq request = {};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(question);
  return ioctl(any.get(), SIOCETHTOOL, &request) == 0;
}

// Empty if the driver has none.
DriverCounters read_counters(const std::string& interface) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo driver = {};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (!ask(any, interface, &driver) || driver.n_stats == 0 || driver.n_stats > counters_max)
    return {};
  // A driver may have got more counters since it said how many: room for twice as many.
  const std::size_t room = std::size_t{driver.n_stats} * 2;
  std::vector<std::uint64_t> names((sizeof(ethtool_gstrings) + room * ETH_GSTRING_LEN) / 8 + 1);
  std::vector<std::uint64_t> values(sizeof(ethtool_stats) / 8 + room + 1);
  const ethtool_gstrings names_head = {
      .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = driver.n_stats};
  const ethtool_stats values_head = {.cmd = ETHTOOL_GSTATS, .n_stats = driver.n_stats};
  std::memcpy(names.data(), &names_head, sizeof(names_head));
  std::memcpy(values.data(), &values_head, sizeof(values_head));
  if (!ask(any, interface, names.data()) || !ask(any, interface, values.data()))
    return {};
  const char* name = reinterpret_cast<const char*>(names.data()) + sizeof(ethtool_gstrings);
  const std::uint64_t* value = values.data() + sizeof(ethtool_stats) / 8;
  DriverCounters counters;
  for (std::uint32_t i = 0; i < driver.n_stats; i++, name += ETH_GSTRING_LEN)
    counters[std::string(name, strnlen(name, ETH_GSTRING_LEN))] = value[i];
  return counters;
}

bool has(const std::string& name, const char* part) {
  return name.find(part) != std::string::npos;
}

bool is_of_sending(const std::string& name) {
  return has(name, "xdp") && (has(name, "tx") || has(name, "xmit"));
}

bool is_loss(const std::string& name) {
  return has(name, "err") || has(name, "drop") || has(name, "full");
}

std::uint64_t sum(const DriverCounters& counters) {
  std::uint64_t sum = 0;
  for (const auto& [name, value] : counters)
    sum += value;
  return sum;
}

} // namespace

DriverCounters losses_among(const DriverCounters& counters) {
  DriverCounters losses;
  for (const auto& [name, value] : counters) {
    if (is_of_sending(name) && is_loss(name))
      losses[name] = value;
  }
  return losses;
}

std::uint64_t sent_among(const DriverCounters& counters) {
  std::uint64_t sent = 0;
  for (const auto& [name, value] : counters) {
    if (is_of_sending(name) && !is_loss(name))
      sent += value;
  }
  return sent;
}

void AnswerLosses::observe(std::uint64_t now_ns, const std::vector<std::string>& interfaces,
                           const std::vector<std::string>& native) {
  if (now_ns < due_ns_)
    return;
  due_ns_ = now_ns + every_ns;
  std::erase_if(interfaces_, [&](const auto& entry) {
    return std::ranges::find(interfaces, entry.first) == interfaces.end();
  });
  for (const std::string& interface : interfaces) {
    note(now_ns, interface, read_counters(interface));
    note_peer(interface, std::ranges::find(native, interface) != native.end() &&
                             look_at_veth_peer(interface) == VethPeer::bare);
  }
}

void AnswerLosses::note(std::uint64_t now_ns, const std::string& interface,
                        const DriverCounters& counters) {
  Interface& known = interfaces_[interface];
  const DriverCounters losses = losses_among(counters);
  const std::uint64_t sent = sent_among(counters);
  for (const auto& [name, value] : losses) {
    const auto before = known.last.find(name);
    if (before == known.last.end() || value <= before->second)
      continue;
    if (known.counter.empty() || now_ns >= known.rose_ns + memory_ns)
      known.counter = name; // one name for one row of losses
    known.rose_ns = now_ns;
  }
  const std::uint64_t lost_before = sum(known.last), lost_now = sum(losses);
  if (known.is_known && lost_now >= lost_before + enough && sent >= known.sent &&
      (sent - known.sent) * 3 < lost_now - lost_before)
    known.lost_until_ns = now_ns + retry_after_ns;
  known.is_known = true;
  known.sent = sent;
  known.last = losses;
}

void AnswerLosses::note_peer(const std::string& interface, bool is_bare) {
  interfaces_[interface].peer_is_bare = is_bare;
}

bool AnswerLosses::loses_all(const std::string& interface, std::uint64_t now_ns) const {
  const auto at = interfaces_.find(interface);
  return at != interfaces_.end() && (at->second.peer_is_bare || now_ns < at->second.lost_until_ns);
}

bool AnswerLosses::loses_all(std::uint64_t now_ns) const {
  return !interfaces_.empty() && std::ranges::all_of(interfaces_, [&](const auto& entry) {
    return loses_all(entry.first, now_ns);
  });
}

void AnswerLosses::retry() {
  for (auto& [name, interface] : interfaces_)
    interface.lost_until_ns = 0;
  due_ns_ = 0;
}

std::vector<std::string> AnswerLosses::problems(std::uint64_t now_ns) const {
  std::vector<std::string> problems;
  for (const auto& [name, interface] : interfaces_) {
    const bool rises = !interface.counter.empty() &&
                       (now_ns < interface.rose_ns + memory_ns || now_ns < interface.lost_until_ns);
    if (interface.peer_is_bare)
      problems.push_back(fmt::format(
          "interface {}: its driver does not send answers of XDP's: the other end of this veth "
          "runs no XDP program: attach one there, or set attach = \"tc\"",
          name));
    else if (rises)
      problems.push_back(fmt::format(
          "interface {}: its driver does not send answers of XDP's ({} rises): the other end of a "
          "veth needs an XDP program of its own, or set attach = \"tc\"; a card may be short of "
          "send queues (ethtool -L)",
          name, interface.counter));
  }
  return problems;
}

} // namespace trap::server
