// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/report/guard_explain.h"

#include <cstring>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "dataplane/options.h"
#include "guard/tables.h"
#include "protocol/ticket.h"
#include "runtime/control/explain_json.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/nanoseconds.h"
#include "trap_guard.skel.h"

namespace trap::guard {
namespace {

// A moment in ticket time, which counts 4 s modulo 2^16, against now.
std::string expiry_text(std::uint16_t expiry, std::uint32_t now_s) {
  const auto ahead =
      static_cast<std::int16_t>(static_cast<std::uint16_t>(expiry - trap_ticket_time(now_s)));
  const auto seconds = static_cast<std::uint64_t>(ahead < 0 ? -ahead : ahead)
                       << TRAP_TICKET_TIME_SHIFT;
  return ahead > 0 ? fmt::format("good for {} more", duration_text(seconds))
                   : fmt::format("over for {}", duration_text(seconds));
}

std::string ticket_text(const trap_ticket& ticket, const trap_clock_anchor& now) {
  const std::uint64_t present = trap_epoch(now.unix_ns);
  const std::uint64_t epoch = trap_epoch_from_byte(present, ticket.epoch);
  const std::string where = epoch ? fmt::format("of epoch {}", epoch)
                                  : fmt::format("of no epoch around the present one, {}", present);
  return fmt::format(
      "it has a ticket {}, tag {}, {}", where, ticket.tag,
      expiry_text(TRAP_FROM_BE16(ticket.expiry), static_cast<std::uint32_t>(now.unix_s)));
}

std::string announce_text(const trap_announce_body& body, const trap_clock_anchor& now) {
  const std::int64_t age_s = static_cast<std::int64_t>(now.unix_s) - TRAP_FROM_BE32(body.issued_s);
  return fmt::format("it announces a client of scope /{}, tag {}, for {}; issued {} {}", body.scope,
                     body.tag, duration_text(TRAP_FROM_BE16(body.lifetime_s)),
                     duration_text(static_cast<std::uint64_t>(age_s < 0 ? -age_s : age_s)),
                     age_s < 0 ? "ahead of this host's clock" : "ago");
}

// The content of its TRAP option; empty if it has none.
std::string option_text(const trap_packet& packet, const Frame& frame,
                        const trap_clock_anchor& now) {
  trap_option_area area;
  const trap_option option =
      trap_find_option(&area, trap_l4(&packet, frame.data()), frame.data() + frame.size(),
                       packet.header_bytes, packet.family);
  const std::uint8_t* body = area.bytes + option.body_offset;
  if (option.type == TRAP_TICKET) {
    trap_ticket_body ticket;
    std::memcpy(&ticket, body, sizeof(ticket));
    return ticket_text(ticket.ticket, now);
  }
  if (option.type != TRAP_ANNOUNCE)
    return "";
  trap_announce_body announce;
  std::memcpy(&announce, body, sizeof(announce));
  return announce_text(announce, now);
}

std::string flow_text(int flows_fd, std::uint32_t flow_buckets, const trap_packet& packet,
                      const trap_flow_keys& secret, const trap_clock_anchor& now) {
  trap_flow_key key = {};
  key.client = packet.source;
  key.service = packet.destination;
  key.client_port = packet.source_port;
  key.service_port = packet.destination_port;
  const std::uint64_t hash = trap_flow_hash(&key, &secret);
  for (int second : {0, 1}) {
    const auto bucket =
        map_read<trap_flow_bucket>(flows_fd, trap_flow_bucket_index(hash, second, flow_buckets));
    for (const trap_flow_entry& entry : bucket.value_or(trap_flow_bucket{}).entries) {
      if (trap_flow_key_equal(&entry.key, &key) &&
          trap_flow_is_live(&entry.value, now.monotonic_ns))
        return fmt::format(
            "its flow is known, and was seen {} ago{}",
            duration_text((now.monotonic_ns - entry.value.seen_ns) / ns_per_s),
            entry.value.flags & TRAP_FLOW_BUDGETED
                ? fmt::format("; it pays from the budgets of tag {}", entry.value.tag)
                : "");
    }
  }
  return "";
}

const PoolConfig* pool_of(const std::vector<PoolConfig>& pools, const trap_address& address) {
  for (const PoolConfig& pool : pools)
    for (const Prefix& prefix : pool.addresses)
      if (covers(prefix, address))
        return &pool;
  return nullptr;
}

// Only what opens connections or announces clients has a tag.
std::string pool_text(const std::vector<PoolConfig>& pools, const trap_packet& packet) {
  if (pools.empty() || !(packet.flags & (TRAP_TCP_SYN | TRAP_TCP_RST)))
    return "";
  if (const PoolConfig* pool = pool_of(pools, packet.destination))
    return fmt::format("its address is of pool \"{}\", which takes tags {}", pool->name,
                       fmt::join(pool->tags, ", "));
  return "its address is of no pool, and takes tags that are of none";
}

std::string announced_text(int announced_fd, std::uint32_t announced_buckets, const MapFds& fds,
                           const std::vector<PoolConfig>& pools, const trap_packet& packet,
                           const trap_guard_settings& settings, const trap_clock_anchor& now) {
  const auto port =
      map_read<trap_guard_port>(fds.ports, std::uint32_t{TRAP_FROM_BE16(packet.destination_port)});
  if (!port)
    return "";
  trap_announced_key key = {};
  key.scope = packet.family == TRAP_IPV4 ? port->scope_v4 : port->scope_v6;
  key.client = trap_address_mask(packet.source, packet.family, key.scope);
  key.port = packet.destination_port;
  if (const PoolConfig* pool = pool_of(pools, packet.destination))
    key.pool = pool_number(pool->name);
  const std::uint64_t hash = trap_announced_hash(&key, settings.table_keys);
  const auto bucket = map_read<trap_announced_bucket>(
      announced_fd, trap_announced_bucket_index(hash, announced_buckets));
  for (const trap_announced_entry& entry : bucket.value_or(trap_announced_bucket{}).entries) {
    if (!trap_announced_key_equal(&entry.key, &key) || entry.value.until_s == 0)
      continue;
    if (entry.value.until_s > now.unix_s)
      return fmt::format("its client is announced for {} more, tag {}",
                         duration_text(entry.value.until_s - now.unix_s), entry.value.tag);
    return fmt::format("its client was announced until {} ago",
                       duration_text(now.unix_s - entry.value.until_s));
  }
  return "";
}

} // namespace

GuardExplainer::GuardExplainer(const RunningGuard& guard) : guard_(guard) {}
GuardExplainer::~GuardExplainer() = default;

Result<void> GuardExplainer::load_twin() {
  if (twin_)
    return {};
  auto twin = Program<trap_guard>::load_twin(guard_.program.object(), [this](trap_guard& skeleton) {
    prepare_skeleton(skeleton, guard_.active->config);
  });
  if (!twin)
    return twin.error();
  twin_ = std::move(*twin);
  return {};
}

// The facts that maps and configuration hold about the packet's client and connection.
std::vector<std::string> GuardExplainer::reasons_of(const ExplainRequest& request,
                                                    const trap_packet& packet) const {
  std::vector<std::string> because;
  const trap_clock_anchor now = read_clocks();
  if (std::string option = option_text(packet, request.frame, now); !option.empty())
    because.push_back(option);
  if (std::string flow =
          flow_text(bpf_map__fd(guard_.program->maps.flows), flow_buckets(guard_.active->config),
                    packet, guard_.flow_secret, now);
      !flow.empty())
    because.push_back(flow);
  if (std::string announced = announced_text(
          bpf_map__fd(guard_.program->maps.announced), announced_buckets(guard_.active->config),
          guard_.fds, guard_.active->config.pools, packet, *guard_.settings, now);
      !announced.empty())
    because.push_back(announced);
  for (const Prefix& prefix : guard_.active->config.trusted) {
    if (covers(prefix, packet.source))
      because.push_back(
          fmt::format("its source is of the trusted prefix {}", format_prefix(prefix)));
  }
  for (const trap_address& server : guard_.active->config.trap_servers) {
    if (trap_address_equal(&server, &packet.source))
      because.push_back("its source is a TRAP server");
  }
  return because;
}

Result<std::string> GuardExplainer::explain(const ExplainRequest& request) {
  if (auto loaded = load_twin(); !loaded)
    return loaded.error();
  auto explained = explain_frame(bpf_program__fd(twin_->progs.trap_guard), request.frame);
  if (!explained)
    return explained.error();
  Reasons reasons;
  trap_packet packet = {};
  const trap_layer layer =
      trap_read_frame(&packet, request.frame.data(), request.frame.data() + request.frame.size());
  const std::uint16_t port = TRAP_FROM_BE16(packet.destination_port);
  for (const ServiceConfig& service : guard_.active->config.services) {
    if (service.port == port && explained->slot != 0)
      reasons.service = fmt::format("{} at port {}", service.name, port);
  }
  if (!reasons.service.empty() && layer == TRAP_LAYER_TCP)
    reasons.because = reasons_of(request, packet);
  else if (layer == TRAP_LAYER_OTHER)
    reasons.because.push_back("it is no TCP over IP");
  else if (reasons.service.empty() && packet.has_ports)
    reasons.because.push_back(fmt::format("port {} is not protected", port));
  if (explained->socket)
    reasons.because.push_back(
        fmt::format("the stack of this host has {} for it", socket_text(*explained->socket)));
  if (explained->verdict == TRAP_DROP_UNINVITED && reasons.because.empty())
    reasons.because.push_back(
        "it has no ticket, its client is not announced, and its source is not trusted");
  if (std::string pool = pool_text(guard_.active->config.pools, packet);
      !reasons.service.empty() && layer == TRAP_LAYER_TCP && !pool.empty())
    reasons.because.push_back(pool);
  if (trap_verdict_action(explained->verdict) == TRAP_ACTION_DROP &&
      guard_.settings->enforced_until_ns <= read_clocks().monotonic_ns)
    reasons.because.push_back("mode is monitor: it is counted, and passes all the same");
  return explanation_json(guard_.active->config.part.part, request, *explained, reasons);
}

} // namespace trap::guard
