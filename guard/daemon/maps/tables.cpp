// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/maps/tables.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <unordered_map>
#include <vector>

namespace trap::guard {
namespace {

struct ProtectedPort {
  std::uint32_t slot = 0;
  std::uint8_t scope_v4 = 0;
  std::uint8_t scope_v6 = 0;
};

std::map<__be16, ProtectedPort> protected_ports(const GuardConfig& config, const PortSlots& slots) {
  std::map<__be16, ProtectedPort> ports;
  for (const ServiceConfig& service : config.services)
    ports[TRAP_BE16(service.port)] = {slots.at(service.port), service.scope_v4, service.scope_v6};
  return ports;
}

// Does the flow count among its client's open ones?
bool is_open(const trap_guard_flow& flow, std::uint64_t monotonic_ns) {
  return trap_flow_is_live(&flow, monotonic_ns) &&
         (flow.flags & (TRAP_FLOW_BUDGETED | TRAP_FLOW_ENDED)) == TRAP_FLOW_BUDGETED;
}

// As packets change flags. False if one has just done so.
bool clear_flag(trap_guard_flow& flow, std::uint8_t flag) {
  auto* word = reinterpret_cast<std::uint32_t*>(&flow.tag);
  trap_guard_flow changed = flow;
  std::uint32_t before = 0, after = 0;
  std::memcpy(&before, &changed.tag, sizeof(before));
  changed.flags &= static_cast<std::uint8_t>(~flag);
  std::memcpy(&after, &changed.tag, sizeof(after));
  return __atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE);
}

trap_guard_client_key client_of(const trap_address& address, const ProtectedPort& port) {
  const trap_family family = family_of(address);
  trap_guard_client_key key = {};
  key.prefix =
      trap_address_mask(address, family, family == TRAP_IPV4 ? port.scope_v4 : port.scope_v6);
  key.slot = port.slot;
  return key;
}

} // namespace

FlowCounts count_flows(FlowBuckets open, FlowBuckets half_open, std::uint64_t monotonic_ns) {
  FlowCounts counts;
  for (const FlowBuckets buckets : {open, half_open}) {
    for (const trap_flow_bucket& bucket : buckets) {
      for (const trap_flow_entry& entry : bucket.entries) {
        if (!trap_flow_is_live(&entry.value, monotonic_ns))
          continue;
        const std::uint8_t flags = entry.value.flags;
        if ((flags & TRAP_FLOW_HALF_OPEN) != 0)
          counts.half_open++;
        else if ((flags & TRAP_FLOW_CLOSING) != 0)
          counts.closing++;
        else
          counts.established++;
      }
    }
  }
  return counts;
}

std::uint64_t count_announced(AnnouncedBuckets announced, std::uint32_t unix_s) {
  std::uint64_t count = 0;
  for (const trap_announced_bucket& bucket : announced) {
    for (const trap_announced_entry& entry : bucket.entries)
      count += entry.value.until_s > unix_s;
  }
  return count;
}

bool has_flow(FlowBuckets flows, const trap_flow_key& key, const trap_flow_keys& secret,
              std::uint64_t monotonic_ns) {
  const __u64 hash = trap_flow_hash(&key, &secret);
  for (int second = 0; second < 2; second++) {
    const trap_flow_bucket& bucket =
        flows[trap_flow_bucket_index(hash, second, static_cast<__u32>(flows.size()))];
    for (const trap_flow_entry& entry : bucket.entries) {
      if (trap_flow_is_live(&entry.value, monotonic_ns) && trap_flow_key_equal(&entry.key, &key))
        return true;
    }
  }
  return false;
}

// As the program does, because the program may be at work on the table.
bool place_flow(std::span<trap_flow_bucket> flows, const trap_flow_entry& flow,
                const trap_flow_keys& secret, std::uint64_t monotonic_ns) {
  if (has_flow(flows, flow.key, secret, monotonic_ns))
    return true;
  const __u64 hash = trap_flow_hash(&flow.key, &secret);
  for (int second = 0; second < 2; second++) {
    auto& bucket = flows[trap_flow_bucket_index(hash, second, static_cast<__u32>(flows.size()))];
    for (trap_flow_entry& entry : bucket.entries) {
      __u64 seen_ns = __atomic_load_n(&entry.value.seen_ns, __ATOMIC_ACQUIRE);
      if (seen_ns == TRAP_FLOW_CLAIMED || trap_flow_is_live(&entry.value, monotonic_ns) ||
          !__atomic_compare_exchange_n(&entry.value.seen_ns, &seen_ns, TRAP_FLOW_CLAIMED, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        continue;
      entry.key = flow.key;
      trap_guard_flow value = flow.value;
      value.seen_ns = TRAP_FLOW_CLAIMED;
      entry.value = value;
      __atomic_store_n(&entry.value.seen_ns, flow.value.seen_ns, __ATOMIC_RELEASE);
      return true;
    }
  }
  return false;
}

bool place_announced(std::span<trap_announced_bucket> announced, const trap_announced_entry& entry,
                     const __u64 table_keys[2]) {
  const __u64 hash = trap_announced_hash(&entry.key, table_keys);
  trap_announced_bucket& bucket =
      announced[trap_announced_bucket_index(hash, static_cast<__u32>(announced.size()))];
  trap_announced_entry* room = nullptr;
  std::size_t at = 0;
  for (std::size_t i = 0; i < TRAP_ANNOUNCED_WAYS; i++) {
    trap_announced_entry& there = bucket.entries[i];
    if (there.value.until_s != 0 && trap_announced_key_equal(&there.key, &entry.key))
      return true;
    if (there.value.until_s == 0 && !room) {
      room = &there;
      at = i;
    }
  }
  if (!room)
    return false;
  room->key = entry.key;
  room->value.tag = entry.value.tag;
  bucket.prints[at] = trap_announced_print(hash);
  __atomic_store_n(&room->value.until_s, entry.value.until_s, __ATOMIC_RELEASE);
  return true;
}

trap_guard_client* find_client(std::span<trap_client_bucket> clients, std::uint64_t print) {
  for (int second = 0; second < 2; second++) {
    trap_client_bucket& bucket =
        clients[trap_client_bucket_index(print, second, static_cast<__u32>(clients.size()))];
    for (std::size_t i = 0; i < TRAP_CLIENT_WAYS; i++) {
      if (__atomic_load_n(&bucket.prints[i], __ATOMIC_ACQUIRE) == print)
        return &bucket.clients[i];
    }
  }
  return nullptr;
}

namespace {

// Unless a packet was faster. No claim is held meanwhile: whoever ends this process would leave it.
template <class T> void fill_in(T& word, T value) {
  T none = 0;
  __atomic_compare_exchange_n(&word, &none, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

} // namespace

// At the place where the program would make the entry.
bool place_client(std::span<trap_client_bucket> clients, std::uint64_t print,
                  const trap_guard_client& client) {
  for (int second = 0; second < 2; second++) {
    trap_client_bucket& bucket =
        clients[trap_client_bucket_index(print, second, static_cast<__u32>(clients.size()))];
    for (std::size_t i = 0; i < TRAP_CLIENT_WAYS; i++) {
      __u64 there = TRAP_CLIENT_EMPTY;
      if (__atomic_compare_exchange_n(&bucket.prints[i], &there, print, false, __ATOMIC_ACQ_REL,
                                      __ATOMIC_ACQUIRE)) {
        trap_guard_client& made = bucket.clients[i];
        fill_in(made.syns.full_at_ns, client.syns.full_at_ns);
        fill_in(made.announced_syns.full_at_ns, client.announced_syns.full_at_ns);
        fill_in(made.packets.full_at_ns, client.packets.full_at_ns);
        fill_in(made.kib.full_at_ns, client.kib.full_at_ns);
        fill_in(made.flows, client.flows);
        fill_in(made.tag, client.tag);
        return true;
      }
      if (there == print)
        return true;
    }
  }
  return false;
}

std::vector<trap_flow_entry*> find_fading(std::span<trap_flow_bucket> flows,
                                          const GuardConfig& config, std::uint64_t monotonic_ns) {
  constexpr std::uint64_t silent_ns = TRAP_FLOW_CLOSING_NS / 2; // two corrections before its end
  std::set<__be16> ports;
  for (const ServiceConfig& service : config.services) {
    if (service.sockets_here)
      ports.insert(TRAP_BE16(service.port));
  }
  std::vector<trap_flow_entry*> fading;
  for (trap_flow_bucket& bucket : flows) {
    for (trap_flow_entry& entry : bucket.entries) {
      const trap_guard_flow& flow = entry.value;
      if ((flow.flags & (TRAP_FLOW_CLOSING | TRAP_FLOW_ENDED)) == TRAP_FLOW_CLOSING &&
          trap_flow_is_live(&flow, monotonic_ns) && flow.seen_ns + silent_ns <= monotonic_ns &&
          ports.contains(entry.key.service_port))
        fading.push_back(&entry);
    }
  }
  return fading;
}

std::uint64_t revive_flows(const std::vector<trap_flow_entry*>& fading,
                           std::vector<trap_flow_key> established, std::uint64_t monotonic_ns) {
  const auto before_in_order = [](const trap_flow_key& a, const trap_flow_key& b) {
    return std::memcmp(&a, &b, offsetof(trap_flow_key, consent)) < 0;
  };
  std::ranges::sort(established, before_in_order);
  std::uint64_t revived = 0;
  for (trap_flow_entry* entry : fading) {
    if (!std::ranges::binary_search(established, entry->key, before_in_order))
      continue;
    if (!clear_flag(entry->value, TRAP_FLOW_CLOSING))
      continue;
    __atomic_store_n(&entry->value.seen_ns, monotonic_ns, __ATOMIC_RELEASE);
    revived++;
  }
  return revived;
}

std::uint64_t take_unseen(std::span<trap_flow_bucket> flows) {
  constexpr std::uint8_t wanted = TRAP_FLOW_BUDGETED | TRAP_FLOW_UNSEEN;
  std::uint64_t count = 0;
  for (trap_flow_bucket& bucket : flows)
    for (trap_flow_entry& entry : bucket.entries)
      count += entry.value.seen_ns > TRAP_FLOW_CLAIMED && (entry.value.flags & wanted) == wanted &&
               clear_flag(entry.value, TRAP_FLOW_UNSEEN);
  return count;
}

OpenFlows count_open_flows(FlowBuckets flows, const GuardConfig& config, const PortSlots& slots,
                           std::uint64_t monotonic_ns) {
  const auto ports = protected_ports(config, slots);
  OpenFlows open;
  for (const trap_flow_bucket& bucket : flows) {
    for (const trap_flow_entry& entry : bucket.entries) {
      if (!is_open(entry.value, monotonic_ns))
        continue;
      if (auto port = ports.find(entry.key.service_port); port != ports.end())
        open[client_of(entry.key.client, port->second)]++;
    }
  }
  return open;
}

OpenNetworkFlows count_open_network_flows(const OpenFlows& clients) {
  OpenNetworkFlows open;
  for (const auto& [client, flows] : clients)
    open[trap_network_key(&client)] += flows;
  return open;
}

void correct_network_counts(Networks& networks, const OpenNetworkFlows& open) {
  for (trap_network& network : networks) {
    if (network.key <= TRAP_NETWORK_CLAIMED)
      continue;
    const auto at = open.find(network.key);
    const std::uint32_t right = at == open.end() ? 0 : at->second;
    std::uint32_t counted = __atomic_load_n(&network.flows, __ATOMIC_ACQUIRE);
    if (counted != right) // a packet that counts meanwhile is right, too
      __atomic_compare_exchange_n(&network.flows, &counted, right, false, __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE);
  }
}

// A change of the count alone, unless a packet changes it meanwhile, which is right, too.
std::uint64_t correct_flow_counts(std::span<trap_client_bucket> clients, const OpenFlows& open,
                                  const trap_client_keys& secret) {
  std::unordered_map<std::uint64_t, std::uint32_t> right;
  for (const auto& [key, flows] : open)
    right[trap_client_print(&key, &secret)] += flows;
  const auto correct = [&](std::uint64_t print, trap_guard_client& client) {
    const auto at = right.find(print);
    const std::uint32_t flows = at == right.end() ? 0 : at->second;
    std::uint32_t counted = __atomic_load_n(&client.flows, __ATOMIC_ACQUIRE);
    if (counted != flows)
      __atomic_compare_exchange_n(&client.flows, &counted, flows, false, __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE);
  };
  std::uint64_t count = 0;
  for (trap_client_bucket& bucket : clients) {
    for (std::size_t i = 0; i < TRAP_CLIENT_WAYS; i++) {
      const std::uint64_t print = __atomic_load_n(&bucket.prints[i], __ATOMIC_ACQUIRE);
      if ((print & TRAP_CLIENT_IS_THERE) == 0)
        continue;
      count++;
      if (bucket.clients[i].flows != 0)
        correct(print, bucket.clients[i]);
    }
  }
  for (const auto& [print, flows] : right) { // of which few are of those above
    if (trap_guard_client* client = find_client(clients, print); client && client->flows == 0)
      correct(print, *client);
  }
  return count;
}

} // namespace trap::guard
