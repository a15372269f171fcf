// SPDX-License-Identifier: Apache-2.0
// Layouts of every map that fixtures describe, from the headers the programs share with user space.
#include "tests/bpf/harness/layout.h"

#include <cstddef>
#include <cstring>
#include <stdexcept>

#include "client/maps.h"
#include "guard/maps.h"
#include "server/daemon/maps/client_budgets.h"
#include "server/maps.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

enum class Kind { address, big_endian, native, options, bytes, unix_in_s, clock_in_s, clock_ago_s };

struct Field {
  const char* name;
  std::size_t offset;
  std::size_t size;
  Kind kind;
};

struct Layout {
  std::size_t key_bytes;
  std::size_t value_bytes;
  std::vector<Field> key;
  std::vector<Field> value;
};

#define TRAP_FIELD(name, type, member, kind)                                                       \
  { name, offsetof(type, member), sizeof(type::member), Kind::kind }

const std::vector<Field> tuple_fields = {
    TRAP_FIELD("local", trap_tuple, local, address),
    TRAP_FIELD("remote", trap_tuple, remote, address),
    TRAP_FIELD("local_port", trap_tuple, local_port, big_endian),
    TRAP_FIELD("remote_port", trap_tuple, remote_port, big_endian),
    TRAP_FIELD("side", trap_tuple, side, native),
};

const std::map<std::string, Layout>& layouts() {
  static const std::map<std::string, Layout> all = {
      {"redirected",
       {sizeof(std::size_t),
        sizeof(trap_redirected),
        {},
        {TRAP_FIELD("client", trap_redirected, client, address),
         TRAP_FIELD("service_slot", trap_redirected, service_slot, native),
         TRAP_FIELD("backend", trap_redirected, backend, native)}}},
      {"clients", // of the server
       {sizeof(trap_client_key),
        sizeof(trap_client_budget),
        {TRAP_FIELD("prefix", trap_client_key, prefix, address),
         TRAP_FIELD("bits", trap_client_key, bits, native)},
        {TRAP_FIELD("full_in_s", trap_client_budget, bucket, clock_in_s),
         TRAP_FIELD("handshakes", trap_client_budget, handshakes, native)}}},
      {"settings", // of the client
       {sizeof(std::uint32_t),
        sizeof(trap_client_settings),
        {},
        {TRAP_FIELD("flags", trap_client_settings, flags, native),
         TRAP_FIELD("nat64_bits", trap_client_settings, nat64_bits, native),
         TRAP_FIELD("nat64", trap_client_settings, nat64, address)}}},
      {"announced",
       {sizeof(trap_announced_key),
        sizeof(trap_announced),
        {TRAP_FIELD("client", trap_announced_key, client, address),
         TRAP_FIELD("port", trap_announced_key, port, big_endian),
         TRAP_FIELD("scope", trap_announced_key, scope, native)},
        {TRAP_FIELD("in_s", trap_announced, until_s, unix_in_s),
         TRAP_FIELD("tag", trap_announced, tag, native)}}},
      {"flows",
       {sizeof(trap_flow_key),
        sizeof(trap_guard_flow),
        {TRAP_FIELD("client", trap_flow_key, client, address),
         TRAP_FIELD("service", trap_flow_key, service, address),
         TRAP_FIELD("client_port", trap_flow_key, client_port, big_endian),
         TRAP_FIELD("service_port", trap_flow_key, service_port, big_endian)},
        {TRAP_FIELD("ago_s", trap_guard_flow, seen_ns, clock_ago_s),
         TRAP_FIELD("packets_left", trap_guard_flow, packets_left, native),
         TRAP_FIELD("bytes_left", trap_guard_flow, bytes_left, native),
         TRAP_FIELD("tag", trap_guard_flow, tag, native),
         TRAP_FIELD("flags", trap_guard_flow, flags, native),
         TRAP_FIELD("consent_kind", trap_guard_flow, consent_kind, native),
         TRAP_FIELD("isn", trap_guard_flow, isn, native)}}},
      {"client_budgets",
       {sizeof(trap_guard_client_key),
        sizeof(trap_guard_client),
        {TRAP_FIELD("prefix", trap_guard_client_key, prefix, address),
         TRAP_FIELD("slot", trap_guard_client_key, slot, native)},
        {TRAP_FIELD("flows", trap_guard_client, flows, native),
         TRAP_FIELD("tag", trap_guard_client, tag, native)}}},
      {"pending",
       {sizeof(trap_tuple),
        sizeof(trap_pending),
        tuple_fields,
        {TRAP_FIELD("isn", trap_pending, isn, big_endian),
         TRAP_FIELD("iss", trap_pending, iss, big_endian),
         TRAP_FIELD("accepted", trap_pending, accepted_iss[0], big_endian),
         TRAP_FIELD("accepted_before", trap_pending, accepted_iss[1], big_endian),
         TRAP_FIELD("window", trap_pending, window, big_endian),
         TRAP_FIELD("state", trap_pending, state, native),
         TRAP_FIELD("option_bytes", trap_pending, option_bytes, native),
         TRAP_FIELD("options", trap_pending, options, options),
         TRAP_FIELD("plain", trap_pending, plain_bytes, native),
         TRAP_FIELD("flags", trap_pending, flags, native),
         TRAP_FIELD("tos", trap_pending, traffic_class, native),
         TRAP_FIELD("hops", trap_pending, hop_limit, native),
         TRAP_FIELD("accepts", trap_pending, accepts, native),
         TRAP_FIELD("connect", trap_pending, connect, native),
         TRAP_FIELD("ifindex", trap_pending, ifindex, native),
         TRAP_FIELD("mark", trap_pending, mark, native),
         TRAP_FIELD("user", trap_pending, user, native),
         TRAP_FIELD("bound", trap_pending, bound, native),
         TRAP_FIELD("began_ago_s", trap_pending, began_ns, clock_ago_s),
         TRAP_FIELD("renewal", trap_pending, is_renewal, native),
         TRAP_FIELD("ticketed", trap_pending, tickets, native),
         TRAP_FIELD("consent", trap_pending, consents[0], bytes),
         TRAP_FIELD("consent_before", trap_pending, consents[1], bytes)}}},
      {"redirects",
       {sizeof(trap_redirect_key),
        sizeof(trap_redirect),
        {TRAP_FIELD("local", trap_redirect_key, local, address),
         TRAP_FIELD("service", trap_redirect_key, service, address),
         TRAP_FIELD("port", trap_redirect_key, port, big_endian)},
        {TRAP_FIELD("backend", trap_redirect, backend, address),
         TRAP_FIELD("backend_port", trap_redirect, port, big_endian),
         TRAP_FIELD("in_s", trap_redirect, until_ns, clock_in_s),
         TRAP_FIELD("ago_s", trap_redirect, learnt_ns, clock_ago_s),
         TRAP_FIELD("flags", trap_redirect, flags, native),
         TRAP_FIELD("ticket", trap_redirect, ticket, bytes),
         TRAP_FIELD("unanswered", trap_redirect, unanswered, native),
         TRAP_FIELD("unanswered_ago_s", trap_redirect, unanswered_ns, clock_ago_s)}}},
      {"to_backend",
       {sizeof(trap_tuple),
        sizeof(trap_outward),
        tuple_fields,
        {TRAP_FIELD("backend", trap_outward, backend, address),
         TRAP_FIELD("backend_port", trap_outward, port, big_endian),
         TRAP_FIELD("syns", trap_outward, syns, native),
         TRAP_FIELD("flags", trap_outward, flags, native),
         TRAP_FIELD("isn", trap_outward, isn, big_endian)}}},
      {"origins", // the first of an entry's services
       {sizeof(trap_origin_key),
        sizeof(trap_origins),
        {TRAP_FIELD("backend", trap_origin_key, backend, address),
         TRAP_FIELD("backend_port", trap_origin_key, port, big_endian)},
        {TRAP_FIELD("service", trap_inward, service, address),
         TRAP_FIELD("port", trap_inward, port, big_endian)}}},
      {"fallbacks",
       {sizeof(trap_redirect_key),
        sizeof(trap_fallback),
        {TRAP_FIELD("local", trap_redirect_key, local, address),
         TRAP_FIELD("service", trap_redirect_key, service, address),
         TRAP_FIELD("port", trap_redirect_key, port, big_endian)},
        {TRAP_FIELD("backend", trap_fallback, backend, address),
         TRAP_FIELD("backend_port", trap_fallback, port, big_endian),
         TRAP_FIELD("in_s", trap_fallback, until_ns, clock_in_s),
         TRAP_FIELD("flags", trap_fallback, flags, native),
         TRAP_FIELD("vain", trap_fallback, vain, native),
         TRAP_FIELD("vain_ago_s", trap_fallback, vain_since_ns, clock_ago_s)}}},
      {"to_public",
       {sizeof(trap_tuple),
        sizeof(trap_inward),
        tuple_fields,
        {TRAP_FIELD("service", trap_inward, service, address),
         TRAP_FIELD("port", trap_inward, port, big_endian),
         TRAP_FIELD("flags", trap_inward, flags, native)}}},
  };
  return all;
}

struct Encoder {
  int family;
  const TestConstants& constants;
  std::uint64_t now_unix_s;

  Bytes encode(const Field& field, const Json& value) const {
    switch (field.kind) {
    case Kind::address:
      return bytes_of(constants.address(value, family).value);
    case Kind::bytes:
      return constants.bytes(value, family);
    case Kind::options:
      return build_options(value, family, constants);
    default:
      return encode_number(field, value);
    }
  }

  Bytes encode_number(const Field& field, const Json& value) const {
    std::uint64_t number = constants.number(value, family);
    if (field.kind == Kind::unix_in_s)
      number += now_unix_s;
    if (field.kind == Kind::clock_in_s)
      number = coarse_ns() + number * 1'000'000'000;
    if (field.kind == Kind::clock_ago_s)
      number = coarse_ns() - number * 1'000'000'000;
    Bytes bytes(field.size);
    for (std::size_t i = 0; i < field.size; i++)
      bytes[field.kind == Kind::big_endian ? field.size - 1 - i : i] =
          static_cast<std::uint8_t>(number >> (8 * i));
    return bytes;
  }
};

// Writes the described fields; returns which names were used.
std::size_t write_fields(const std::vector<Field>& fields, const Json& entry,
                         const Encoder& encoder, Bytes& out, Bytes* mask) {
  std::size_t used = 0;
  for (const Field& field : fields) {
    if (!entry.contains(field.name)) {
      if (field.kind == Kind::clock_ago_s) { // seen just now
        const Bytes now = encoder.encode(field, 0);
        std::memcpy(&out[field.offset], now.data(), field.size);
      }
      continue;
    }
    const Bytes bytes = encoder.encode(field, entry[field.name]);
    std::memcpy(&out[field.offset], bytes.data(), std::min(bytes.size(), field.size));
    // Clocks go on between a description and the run: those fields are written, and not compared.
    if (mask != nullptr && field.kind != Kind::clock_in_s && field.kind != Kind::clock_ago_s)
      std::memset(&(*mask)[field.offset], 0xff, field.size);
    used++;
  }
  return used;
}

} // namespace

DescribedEntry describe_entry(const std::string& map, const Json& entry, int family,
                              const TestConstants& constants, std::uint64_t now_unix_s) {
  const auto found = layouts().find(map);
  if (found == layouts().end())
    throw std::runtime_error("fixtures cannot describe the map " + map);
  const Layout& layout = found->second;
  DescribedEntry result{Bytes(layout.key_bytes), Bytes(layout.value_bytes),
                        Bytes(layout.value_bytes)};
  const Encoder encoder = {family, constants, now_unix_s};
  std::size_t used = write_fields(layout.key, entry, encoder, result.key, nullptr);
  used += write_fields(layout.value, entry, encoder, result.value, &result.value_mask);
  if (used != entry.size())
    throw std::runtime_error("unknown field in an entry of map " + map + ": " + entry.dump());
  return result;
}

} // namespace trap::test
