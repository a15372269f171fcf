// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/forger.h"

#include "protocol/ticket.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/packet/byte_writer.h"
#include "runtime/packet/tcp_options.h"

namespace trap::lab {
namespace {

trap_grant grant_of(const trap_address& client, std::uint16_t port, int scope) {
  trap_grant grant{};
  grant.client = client;
  grant.port = TRAP_BE16(port);
  grant.family = static_cast<std::uint8_t>(family_of(grant.client));
  grant.scope = static_cast<std::uint8_t>(scope != 0                  ? scope
                                          : grant.family == TRAP_IPV4 ? TRAP_SCOPE_V4
                                                                      : TRAP_SCOPE_V6);
  return grant;
}

} // namespace

Result<Forger> Forger::with_key_of(std::string_view service_host) {
  auto key = read_guard_key(guard_key_file(service_host));
  if (!key)
    return key.error();
  return Forger{std::move(*key)};
}

Bytes Forger::ticket(const ForgedTicket& order) const {
  const trap_clock_anchor now = read_clocks();
  const std::uint64_t epoch =
      trap_epoch(now.unix_ns) +
      static_cast<std::uint64_t>(static_cast<std::int64_t>(order.epochs_ahead));
  const trap_key key = derive_ticket_key(key_.secret, epoch);
  const trap_grant grant = grant_of(order.client, order.port, 0);
  const trap_ticket_body body{
      .flags = 0,
      .ticket = trap_ticket_make(&key, epoch, static_cast<std::uint32_t>(now.unix_s),
                                 static_cast<std::uint32_t>(order.lifetime_s), order.tag, &grant)};
  return TcpOptions().trap(TRAP_TICKET, bytes_of(body), false).bytes();
}

Bytes Forger::announcement(const ForgedAnnouncement& order) const {
  const auto issued_s = static_cast<std::uint32_t>(static_cast<std::int64_t>(read_clocks().unix_s) +
                                                   order.issued_ahead_s);
  const trap_key key = derive_announce_key(key_.secret, trap_epoch_of_second(issued_s));
  const trap_grant grant = grant_of(order.client, order.port, order.scope);
  trap_announce_body fixed{};
  fixed.lifetime_s = TRAP_BE16(order.lifetime_s);
  fixed.scope = grant.scope;
  fixed.issued_s = TRAP_BE32(issued_s);
  trap_put_mac(fixed.mac, trap_announce_mac(&key, &fixed, &grant));
  ByteWriter body;
  body.append(bytes_of(fixed));
  body.address(grant.client);
  return TcpOptions().trap(TRAP_ANNOUNCE, body.out, false).bytes();
}

} // namespace trap::lab
