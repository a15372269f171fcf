// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/announcement.h"

#include "protocol/ticket.h"
#include "runtime/packet/byte_writer.h"
#include "runtime/packet/segment.h"
#include "runtime/packet/tcp_options.h"

namespace trap::server {
namespace {

// The body of ANNOUNCE with the client's address behind it.
Bytes body_of(const Announcement& announcement, const trap_key& key) {
  const auto family = static_cast<__u8>(family_of(announcement.client));
  const trap_grant grant = {announcement.client, TRAP_BE16(announcement.backend.port), family,
                            announcement.scope};
  trap_announce_body fixed = {};
  fixed.lifetime_s = TRAP_BE16(announcement.lifetime_s);
  fixed.scope = announcement.scope;
  fixed.tag = announcement.tag;
  fixed.issued_s = TRAP_BE32(announcement.issued_s);
  trap_put_mac(fixed.mac, trap_announce_mac(&key, &fixed, &grant));
  ByteWriter body;
  body.append(bytes_of(fixed));
  body.address(announcement.client);
  return body.out;
}

} // namespace

Bytes build_announcement(const Announcement& announcement, const trap_key& announce_key,
                         bool experimental_kind) {
  const Bytes body = body_of(announcement, announce_key);
  const std::size_t option_bytes =
      (experimental_kind ? TRAP_HEADER_BYTES_EXPERIMENTAL : TRAP_HEADER_BYTES) + body.size();
  return build_packet(Segment{.from = {announcement.source, announcement.backend.port},
                              .to = announcement.backend,
                              .flags = tcp_rst,
                              .window = 0,
                              .options = TcpOptions()
                                             .nop((4 - option_bytes % 4) % 4)
                                             .trap(TRAP_ANNOUNCE, body, experimental_kind)
                                             .bytes()});
}

} // namespace trap::server
