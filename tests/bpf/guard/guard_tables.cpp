// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/guard/guard_tables.h"

#include <memory>
#include <span>
#include <stdexcept>

#include "guard/tables.h"
#include "tests/bpf/harness/buckets.h"

namespace trap::test {
namespace {

std::uint32_t max_entries(int fd) {
  bpf_map_info info = {};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
    throw std::runtime_error("cannot ask for the size of a table of the guard");
  return info.max_entries;
}

trap_guard_settings settings_of(const Object& object) {
  return object.get<trap_guard_settings>("settings", std::uint32_t{0});
}

void put_flow(std::span<trap_flow_entry, TRAP_FLOW_WAYS> entries, const trap_flow_key& key,
              const trap_guard_flow& value) {
  std::size_t way = 0;
  while (way + 1 < entries.size() && entries[way].value.seen_ns != TRAP_FLOW_EMPTY &&
         !trap_flow_key_equal(&entries[way].key, &key))
    way++;
  entries[way] = {key, value};
}

void collect_flows(Buckets<trap_flow_bucket>& buckets, Entries& found) {
  for (std::uint32_t i = 0; i < buckets.size(); i++)
    for (const trap_flow_entry& entry : buckets[i].entries)
      if (entry.value.seen_ns != TRAP_FLOW_EMPTY) {
        trap_flow_key key = entry.key;
        key.consent = 0; // no part of the key
        found[bytes_of(key)] = bytes_of(entry.value);
      }
}

// Flows that are open and those that are half-open, which have a map of their own. If a connection
// is in both, the half-open one is shown.
Table table_of_flows(const std::shared_ptr<Buckets<trap_flow_bucket>>& open,
                     const std::shared_ptr<Buckets<trap_flow_bucket>>& half_open,
                     const std::shared_ptr<Buckets<trap_half_open_marks>>& marks) {
  return {
      .put =
          [open, half_open, marks](Object& object, const Bytes& key, const Bytes& value) {
            const auto flow = read_as<trap_flow_key>(key);
            const auto entry = read_as<trap_guard_flow>(value);
            const auto secret = object.get<trap_flow_keys>("flow_keys", std::uint32_t{0});
            const std::uint64_t hash = trap_flow_hash(&flow, &secret);
            if ((entry.flags & TRAP_FLOW_HALF_OPEN) != 0) {
              const auto port = object.get<trap_guard_port>(
                  "ports", std::uint32_t{TRAP_FROM_BE16(flow.service_port)});
              put_flow(
                  (*half_open)[trap_half_open_index(&flow, hash, &port, &secret, half_open->size())]
                      .entries,
                  flow, entry);
              (*marks)[0].seen[trap_half_open_mark_index(hash)] =
                  trap_half_open_mark(entry.seen_ns);
            } else
              put_flow((*open)[trap_flow_bucket_index(hash, 0, open->size())].entries, flow, entry);
          },
      .entries =
          [open, half_open](Object&) {
            Entries found;
            collect_flows(*open, found);
            collect_flows(*half_open, found);
            return found;
          },
      .clear =
          [open, half_open, marks](Object&) {
            open->clear();
            half_open->clear();
            marks->clear();
          }};
}

Table table_of_announced(const std::shared_ptr<Buckets<trap_announced_bucket>>& buckets) {
  return {.put =
              [buckets](Object& object, const Bytes& key, const Bytes& value) {
                const auto client = read_as<trap_announced_key>(key);
                const std::uint64_t hash =
                    trap_announced_hash(&client, settings_of(object).table_keys);
                trap_announced_bucket& bucket =
                    (*buckets)[trap_announced_bucket_index(hash, buckets->size())];
                const std::uint8_t print = trap_announced_print(hash);
                int way = 0;
                while (way + 1 < TRAP_ANNOUNCED_WAYS && bucket.prints[way] != 0 &&
                       bucket.prints[way] != print)
                  way++;
                bucket.prints[way] = print;
                bucket.entries[way] = {client, read_as<trap_announced>(value)};
              },
          .entries =
              [buckets](Object&) {
                Entries found;
                for (std::uint32_t i = 0; i < buckets->size(); i++)
                  for (int way = 0; way < TRAP_ANNOUNCED_WAYS; way++)
                    if ((*buckets)[i].prints[way] != 0)
                      found[bytes_of((*buckets)[i].entries[way].key)] =
                          bytes_of((*buckets)[i].entries[way].value);
                return found;
              },
          .clear = [buckets](Object&) { buckets->clear(); }};
}

std::uint64_t print_of(Object& object, const Bytes& key) {
  const auto secret = object.get<trap_client_keys>("client_keys", std::uint32_t{0});
  const auto client = read_as<trap_guard_client_key>(key);
  return trap_client_print(&client, &secret);
}

Table table_of_clients(const std::shared_ptr<Buckets<trap_client_bucket>>& buckets) {
  return {
      .put =
          [buckets](Object& object, const Bytes& key, const Bytes& value) {
            const std::uint64_t print = print_of(object, key);
            trap_client_bucket& bucket =
                (*buckets)[trap_client_bucket_index(print, 0, buckets->size())];
            int way = 0;
            while (way + 1 < TRAP_CLIENT_WAYS && bucket.prints[way] != TRAP_CLIENT_EMPTY &&
                   bucket.prints[way] != print)
              way++;
            bucket.clients[way] = read_as<trap_guard_client>(value);
            bucket.prints[way] = print;
          },
      .entries =
          [buckets](Object&) {
            Entries found;
            for (std::uint32_t i = 0; i < buckets->size(); i++)
              for (int way = 0; way < TRAP_CLIENT_WAYS; way++)
                if (((*buckets)[i].prints[way] & TRAP_CLIENT_IS_THERE) != 0)
                  found[bytes_of((*buckets)[i].prints[way])] = bytes_of((*buckets)[i].clients[way]);
            return found;
          },
      .clear = [buckets](Object&) { buckets->clear(); },
      .key_of = [](Object& object, const Bytes& key) { return bytes_of(print_of(object, key)); }};
}

} // namespace

void see_guard_tables(Object& object) {
  const int flows = object.map_fd("flows");
  const int announced = object.map_fd("announced");
  const int half_open = object.map_fd("half_open");
  object.see_as_table(
      "flows",
      table_of_flows(
          std::make_shared<Buckets<trap_flow_bucket>>(flows, max_entries(flows)),
          std::make_shared<Buckets<trap_flow_bucket>>(half_open, max_entries(half_open)),
          std::make_shared<Buckets<trap_half_open_marks>>(object.map_fd("half_open_marks"), 1)));
  object.see_as_table("announced",
                      table_of_announced(std::make_shared<Buckets<trap_announced_bucket>>(
                          announced, max_entries(announced))));
  const int clients = object.map_fd("client_budgets");
  object.see_as_table("client_budgets",
                      table_of_clients(std::make_shared<Buckets<trap_client_bucket>>(
                          clients, max_entries(clients))));
}

} // namespace trap::test
