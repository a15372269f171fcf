// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/walk/oracle.h"

#include <algorithm>
#include <arpa/inet.h>

namespace trap::walk {

using test::Json;

Json scene_of(const std::string& part) {
  if (part == "guard")
    return Json::parse(R"({
      "announced": [{"family": 4, "client": "stranger", "port": 80, "scope": "$scope", "in_s": 600},
                    {"family": 6, "client": "2001:db8:77::", "port": 80, "scope": "$scope", "in_s": 600}],
      "flows": [{"client": "client", "service": "backend", "client_port": 40000, "service_port": 80, "ago_s": 1}]})");
  // Connects: 40000 just begun, 40002 accepted; 41000 is redirected and its SYN forgotten, 41002
  // waits for the target.
  if (part == "client")
    return Json::parse(R"({
      "pending": [
        {"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "isn": "$isn", "hops": 64},
        {"local": "client", "remote": "public", "local_port": 40002, "remote_port": 80, "isn": "$isn", "hops": 64,
         "state": 1, "iss": "$cookie.now", "accepted": "$cookie.now", "accepted_before": "$cookie.now", "accepts": 1},
        {"local": "client", "remote": "second", "local_port": 41002, "remote_port": 80, "isn": "$isn", "hops": 64,
         "state": 3, "ticketed": 1, "consent": "$consent.valid"}],
      "redirects": [{"local": "client", "service": "second", "port": 80, "backend": "backend", "backend_port": 80, "in_s": 600}],
      "to_backend": [{"local": "client", "remote": "second", "local_port": 41000, "remote_port": 80, "backend": "backend", "backend_port": 80, "syns": 1, "isn": 7},
        {"local": "client", "remote": "second", "local_port": 41002, "remote_port": 80, "backend": "backend", "backend_port": 80, "syns": 1, "isn": "$isn"}],
      "to_public": [{"local": "client", "remote": "backend", "local_port": 41000, "remote_port": 80, "service": "second", "port": 80},
        {"local": "client", "remote": "backend", "local_port": 41002, "remote_port": 80, "service": "second", "port": 80}]})");
  return Json::object();
}

Json packets_of(const std::string& part) {
  if (part == "client")
    return Json::parse(R"([
      {"ip": {"src": "client", "dst": "second"}, "tcp": {"sport": 41000, "flags": "PA"}, "payload": 20},
      {"ip": {"src": "client", "dst": "second"}, "tcp": {"sport": 41001, "seq": 9, "options": [{"linux": 1}]}},
      {"ip": {"src": "client", "dst": "backend"}, "tcp": {"sport": 41000, "seq": 7}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41000, "flags": "SA"}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41000, "flags": "R"}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41000, "flags": "A"}, "payload": 20},
      {"ip": {"src": "second", "dst": "client"}, "tcp": {"sport": 80, "dport": 41002, "flags": "SA", "ack": "$isn+1", "options": [{"offer": 0}]}},
      {"ip": {"src": "second", "dst": "client"}, "tcp": {"sport": 80, "dport": 41002, "flags": "RA", "seq": 1, "ack": "$isn+1", "options": [{"redirect": {"address": "backend", "port": 80, "lifetime_s": 600, "ticket": "$ticket.valid"}}]}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41002, "flags": "S"}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41002, "flags": "RA", "ack": "$isn+1"}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41002, "flags": "SA", "ack": "$isn+1",
       "options": [{"linux": 1}, {"consent": "$consent.valid"}]}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41002, "flags": "SA", "ack": "$isn+1",
       "options": [{"nop": 1}, {"consent": "$consent.valid", "experimental": true}]}},
      {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 41002, "flags": "SA", "ack": "$isn+1", "options": [{"linux": 1}]}},
      {"quoted": {"ip": {"src": "client", "dst": "backend"}, "tcp": {"sport": 41002, "seq": "$isn"}}, "ip": {"src": "router", "dst": "client"}},
      {"ip": {"src": "public", "dst": "client"}, "tcp": {"sport": 80, "dport": 40002, "flags": "RA", "seq": "$cookie.now+1", "ack": "$isn+1"}},
      {"ip": {"src": "public", "dst": "client"}, "tcp": {"sport": 80, "dport": 40002, "flags": "RA", "seq": "$cookie.now+1", "ack": "$isn+1",
       "options": [{"redirect": {"address": "backend", "port": 80, "lifetime_s": 600, "ticket": "$ticket.valid"}}]}},
      {"ip": {"src": "public", "dst": "client"}, "tcp": {"sport": 80, "dport": 40002, "flags": "RA", "seq": "$cookie.now+1", "ack": "$isn+1",
       "options": [{"redirect": {"address": "loopback", "port": 80, "lifetime_s": 600, "ticket": "$ticket.valid"}}]}},
      {"quoted": {"ip": {"src": "client", "dst": "backend"}, "tcp": {"sport": 41000, "flags": "A"}}, "ip": {"src": "router", "dst": "client"}},
      {"quoted": {"ip": {"src": "second", "dst": "client"}, "tcp": {"sport": 80, "dport": 41000, "flags": "A"}}, "ip": {"src": "client", "dst": "second"}}])");
  if (part == "guard")
    return Json::parse(R"([
      {"ip": {"src": "stranger", "dst": "backend"}, "tcp": {"options": [{"linux": 1}]}},
      {"ip": {"src": "client", "dst": "backend"}, "tcp": {"flags": "A"}},
      {"quoted": {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 40000, "flags": "A"}}, "ip": {"src": "router", "dst": "backend"}},
      {"quoted": {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 80, "dport": 40001, "flags": "A"}}, "ip": {"src": "router", "dst": "backend"}},
      {"quoted": {"ip": {"src": "backend", "dst": "client"}, "tcp": {"sport": 22, "dport": 40001, "flags": "A"}}, "ip": {"src": "router", "dst": "backend"}}])");
  return Json::array();
}

Oracle::Oracle(std::string part, const test::TestConstants& constants)
    : part_(std::move(part)), constants_(constants) {}

Bytes Oracle::address(const char* role, int family) const {
  const std::string text =
      constants_.text("address.v" + std::to_string(family) + "." + std::string(role));
  Bytes bytes(family == 4 ? 4 : 16);
  inet_pton(family == 4 ? AF_INET : AF_INET6, text.c_str(), bytes.data());
  return bytes;
}

bool Oracle::is(const End& end, const char* role, unsigned port, int family) const {
  return end.port == port && end.address == address(role, family);
}

std::uint32_t Oracle::number(const char* name, int family) const {
  return static_cast<std::uint32_t>(constants_.number(Json(name), family));
}

Names Oracle::allowed(const std::string& program, const Bytes& frame) const {
  const Reading reading = read_frame(frame);
  if (part_ == "server")
    return server(reading, frame);
  if (part_ == "guard")
    return guard(reading, frame);
  if (program == "trap_client_egress_lan") // all state of the scene is this host's
    return {"pass-other"};
  return program == "trap_client_egress" ? client_outward(reading, frame)
                                         : client_inward(reading, frame);
}

namespace {

enum class Kind { syn, syn_ack, ack, rst, fin, null, absurd };

// Section 1: the flags as a whole.
Kind kind_of(std::uint8_t flags) {
  const bool fin = (flags & 1) != 0, syn = (flags & 2) != 0, rst = (flags & 4) != 0,
             ack = (flags & 16) != 0;
  if (!fin && !syn && !rst && !ack)
    return Kind::null;
  if ((syn && (fin || rst)) || (fin && rst) || (fin && !ack))
    return Kind::absurd;
  if (syn)
    return ack ? Kind::syn_ack : Kind::syn;
  if (rst)
    return Kind::rst;
  return fin ? Kind::fin : Kind::ack;
}

Names defects_of(const Options& options) {
  Names names;
  if (options.malformed)
    names.insert("drop-malformed-option");
  if (options.duplicate)
    names.insert("drop-duplicate-option");
  return names;
}

// RFC 1071.
bool sums_to_nothing(const Bytes& frame, std::size_t at, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; i += 2)
    sum += static_cast<std::uint32_t>(frame[at + i]) << 8 | frame[at + i + 1];
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

bool is_to_group(const Bytes& frame) {
  return !frame.empty() && (frame[0] & 1) != 0;
}

// Section 2.1, 6: multicast, loopback, unspecified, 0.0.0.0/8, broadcast, class E.
bool is_martian(const Bytes& address) {
  if (address.size() == 4)
    return address[0] == 0 || address[0] == 127 || address[0] >= 224;
  const bool zeros =
      std::all_of(address.begin(), address.begin() + 15, [](auto byte) { return byte == 0; });
  return address[0] == 0xff || (zeros && address[15] <= 1);
}

enum Service {
  none,
  resets,
  makes_no_offer,
  lost_backend,
  serves,
  at_peace,
  by_policy,
  silent,
  capped,
  resets_by_policy
};

bool is_link_local(const Bytes& address) {
  return address.size() == 4 ? address[0] == 169 && address[1] == 254
                             : address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

// Is there an option of TCP-MD5 or TCP-AO, before the first that does not parse?
bool is_signed(const Bytes& options) {
  for (std::size_t at = 0; at < options.size() && options[at] != 0;) {
    if (options[at] == 19 || options[at] == 29)
      return true;
    const std::size_t length = options[at] == 1 ? 1 : at + 1 < options.size() ? options[at + 1] : 0;
    if (length < (options[at] == 1 ? 1 : 2) || at + length > options.size())
      return false;
    at += length;
  }
  return false;
}

} // namespace

// The services of the server's rig (tests/bpf/server/server_rig.cpp).
int Oracle::service_at(const Reading& reading) const {
  static const std::map<unsigned, Service> at_public = {
      {80, resets},    {81, lost_backend}, {82, serves}, {83, serves},           {84, at_peace},
      {85, by_policy}, {86, silent},       {87, capped}, {88, resets_by_policy}, {90, serves}};
  const End& end = reading.destination;
  if (is(end, "second", 80, reading.family))
    return makes_no_offer;
  if (is(end, "here", 82, reading.family) || is(end, "here", 83, reading.family))
    return serves;
  if (end.address != address("public", reading.family))
    return none;
  const auto found = at_public.find(end.port);
  return found != at_public.end() ? found->second : none;
}

// Maps hold IPv4 addresses as mapped ones, so a mapped destination stands for that IPv4 host.
static Reading as_maps_see_it(Reading reading) {
  Bytes& to = reading.destination.address;
  if (to.size() == 16 &&
      Bytes(to.begin(), to.begin() + 12) == Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255}) {
    to.erase(to.begin(), to.begin() + 12);
    reading.family = 4;
  }
  return reading;
}

Names Oracle::server(const Reading& reading, const Bytes& frame) const {
  if (reading.layer == Layer::other || reading.family == 0)
    return {"pass-other"};
  const Reading seen = as_maps_see_it(reading);
  const Bytes& to = seen.destination.address;
  if (to != address("public", seen.family) && to != address("second", seen.family) &&
      to != address("here", seen.family))
    return {"pass-other"};
  const int service = reading.has_ports ? service_at(seen) : none;
  if (reading.has_ports && service == none)
    return {"pass-other"};
  Names names;
  if (reading.layer == Layer::defective) {
    names = reading.defects;
    if (reading.is_perhaps_other)
      names.insert("pass-other");
    if (service == at_peace)
      names.insert("pass-at-peace");
    return names;
  }
  if (reading.ip_end > frame.size())
    names.insert("drop-truncated");
  if (is_to_group(frame))
    names.insert("drop-group-mac");
  if (is_martian(reading.source.address))
    names.insert("drop-martian-source");
  if (reading.family == 4 && !sums_to_nothing(frame, reading.l3, reading.l4 - reading.l3))
    names.insert("drop-bad-ip-checksum");
  if (names.empty())
    names = server_segment(reading, service);
  if (service == at_peace && !names.contains("pass-syn-at-peace"))
    return {"pass-at-peace"};
  return names;
}

Names Oracle::server_segment(const Reading& reading, int service) const {
  switch (kind_of(reading.flags)) {
  case Kind::rst:
    return {"drop-rst"};
  case Kind::fin:
    return {"drop-fin"};
  case Kind::syn_ack:
    return {"drop-syn-ack"};
  case Kind::null:
    return {"drop-null"};
  case Kind::absurd:
    return {"drop-bad-flags"};
  case Kind::ack:
    return server_ack(reading, service);
  case Kind::syn:
    break;
  }
  if (service == at_peace)
    return {"pass-syn-at-peace"};
  if (service == silent)
    return {"drop-no-backend"};
  if ((service == by_policy || service == resets_by_policy) &&
      reading.source.address == address("neighbour", reading.family))
    return {"drop-denied"};
  if ((service == by_policy || service == resets_by_policy) && reading.family == 6)
    return {"reply-syn-ack",
            "drop-denied"}; // a prefix of the configuration may be longer than it looks
  return service == capped ? Names{"reply-syn-ack", "drop-service-cap"} : Names{"reply-syn-ack"};
}

Names Oracle::server_ack(const Reading& reading, int service) const {
  const int family = reading.family;
  const bool begins = reading.seq - 1 == number("$isn", family);
  const bool is_main = begins && is(reading.source, "client", 40000, family);
  const std::uint32_t cookie = reading.ack - 1;
  const bool is_right =
      is_main && ((service == resets && cookie == number("$cookie.now", family)) ||
                  (service == makes_no_offer && cookie == number("$cookie.second", family)));
  if (is_right) {
    const Names defects = defects_of(reading.options);
    return defects.empty() ? Names{"reply-redirect"} : defects;
  }
  for (const auto& [name, value] : constants_.values().items()) {
    if (name.starts_with("cookie.v" + std::to_string(family)) &&
        value.get<std::uint32_t>() == cookie)
      return {"drop-bad-cookie",  "reply-redirect",        "drop-no-key",
              "drop-denied",      "drop-malformed-option", "drop-no-backend",
              "drop-no-listener", "drop-duplicate-option", "drop-client-budget"};
  }
  return {"drop-bad-cookie"};
}

bool Oracle::is_guard_flow(const End& client, const End& service) const {
  const int family = client.address.size() == 4 ? 4 : 6;
  return is(client, "client", 40000, family) && is(service, "backend", 80, family);
}

namespace {

bool is_protected(unsigned port) {
  return port == 80 || port == 81 || port == 83;
}

} // namespace

Names Oracle::guard(const Reading& reading, const Bytes& frame) const {
  if (reading.layer == Layer::other)
    return guard_icmp(frame);
  if (reading.has_ports && !is_protected(reading.destination.port))
    return {"pass-other"};
  if (reading.layer == Layer::defective) {
    Names names = reading.defects;
    if (reading.is_perhaps_other)
      names.insert("pass-other");
    return names;
  }
  switch (kind_of(reading.flags)) {
  case Kind::null:
    return {"drop-null"};
  case Kind::absurd:
    return {"drop-bad-flags"};
  case Kind::syn:
    return guard_answerable(guard_syn(reading), reading, frame);
  case Kind::rst:
    return guard_reset(reading);
  default:
    return guard_flow(reading);
  }
}

Names Oracle::guard_flow(const Reading& reading) const {
  return is_guard_flow(reading.source, reading.destination) ? Names{"pass-flow"}
                                                            : Names{"drop-no-flow"};
}

// The trusted peers of the guard's rig (tests/bpf/guard/guard_rig.cpp).
bool Oracle::is_trusted(const Reading& reading) const {
  const Bytes& from = reading.source.address;
  if (reading.family == 4)
    return from == Bytes{10, 9, 0, 1} ||
           (from[0] == 10 && from[1] == 8 && from[2] == 0 && from[3] < 16) ||
           (from[0] == 127 && from[1] == 1 && from[2] == 2 && from[3] < 4) ||
           (from[0] == 224 && from[1] == 0 && from[2] == 0 && from[3] / 16 == 1);
  Bytes one(16);
  one[0] = 0xfd, one[3] = 9, one[15] = 1;
  Bytes group(16);
  group[0] = 0xff, group[1] = 0x0e, group[15] = 8;
  if (std::equal(group.begin(), group.end() - 1, from.begin()) && from[15] / 4 == 2)
    return true;
  return from == one || (from[0] == 0xfd && from[1] == 0 && from[2] == 0 && from[3] == 8);
}

// Of the pool "nine", whose tag no ticket here has.
bool Oracle::is_in_pool(const Reading& reading) {
  const Bytes& to = reading.destination.address;
  return reading.family == 4
             ? to == Bytes{198, 51, 100, 99}
             : to == Bytes{0x20, 1, 0xd, 0xb8, 1, 0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99};
}

bool Oracle::is_announced(const Reading& reading) const {
  const Bytes invited = address("stranger", reading.family);
  const std::ptrdiff_t scope_bytes = reading.family == 4 ? 4 : 8;
  return reading.destination.port == 80 && !is_in_pool(reading) &&
         std::equal(invited.begin(), invited.begin() + scope_bytes, reading.source.address.begin());
}

Names Oracle::guard_ticket(const Reading& reading, const Bytes& ticket) const {
  const std::string family = ".v" + std::to_string(reading.family) + ".";
  const Bytes client = address("client", reading.family);
  const std::ptrdiff_t scope_bytes = reading.family == 4 ? 4 : 8;
  const bool is_clients =
      reading.destination.port == 80 &&
      std::equal(client.begin(), client.begin() + scope_bytes, reading.source.address.begin());
  if (is_clients && ticket == test::read_hex(constants_.text("ticket" + family + "valid")))
    return {is_in_pool(reading) ? "drop-ticket-pool" : "pass-ticket"};
  const Bytes epochs = {0xb7, 0xb8, 0xb9}; // around the moment "now"
  if (std::ranges::find(epochs, ticket[0]) == epochs.end())
    return {"drop-ticket-epoch"};
  for (const auto& [name, value] : constants_.values().items()) {
    if (name.starts_with("ticket" + family) && test::read_hex(value.get<std::string>()) == ticket)
      return {is_in_pool(reading) ? "drop-ticket-pool" : "pass-ticket", "drop-ticket-expired",
              "drop-ticket-mac", "drop-client-syns"};
  }
  return {"drop-ticket-expired", "drop-ticket-mac"};
}

Names Oracle::guard_syn(const Reading& reading) const {
  const Options& options = reading.options;
  const bool invited = is_announced(reading), trusted = is_trusted(reading);
  const bool may_have = std::ranges::any_of(
      options.area, [](std::uint8_t byte) { return byte == 0x56 || byte == 253; });
  if (!may_have && !invited && !trusted) {
    // Four bytes of options are looked at in one word with the four before them.
    Names names = options.area.size() == 4 ? defects_of(options) : Names();
    names.insert("drop-uninvited");
    return names;
  }
  if (!options.sound())
    return defects_of(options);
  if (options.type == 4)
    return guard_ticket(reading, {options.body.begin() + 1, options.body.end()});
  return {invited ? "pass-announced" : trusted ? "pass-trusted" : "drop-uninvited"};
}

// Section 3.2, 5: what no stack answers is refused, whoever invited it.
Names Oracle::guard_answerable(Names names, const Reading& reading, const Bytes& frame) {
  const char* refusal = is_martian(reading.source.address) ? "drop-martian-source"
                        : is_to_group(frame) && reading.destination.port != 83 ? "drop-group-mac"
                                                                               : nullptr;
  if (!refusal)
    return names;
  Names refused;
  for (const std::string& name : names)
    refused.insert(name.starts_with("pass-") || name == "drop-client-syns" ? refusal : name);
  return refused;
}

Names Oracle::guard_reset(const Reading& reading) const {
  if ((reading.flags & 16) != 0 || reading.source.address != address("trap-server", reading.family))
    return guard_flow(reading);
  const Options& options = reading.options;
  if (!options.sound())
    return {"drop-announce-malformed"};
  if (options.type != 5)
    return guard_flow(reading);
  const std::string name = "announce.v" + std::to_string(reading.family) + ".valid";
  if (reading.destination.port == 80 && Bytes(options.body.begin(), options.body.end()) == [&] {
        Bytes body = test::read_hex(constants_.text(name));
        body.insert(body.begin(), options.body[0]);
        return body;
      }())
    return {is_in_pool(reading) ? "drop-announce-pool" : "announce-accepted"};
  return {"drop-announce-malformed", "drop-announce-time", "drop-announce-mac",
          is_in_pool(reading) ? "drop-announce-pool" : "announce-accepted"};
}

Names Oracle::guard_icmp(const Bytes& frame) const {
  const Icmp icmp = read_icmp(frame);
  if (icmp.message == Message::none)
    return icmp.is_cut ? Names{"drop-fragment"} : Names{"pass-other"};
  if (icmp.is_mapped)
    return {"drop-mapped-address"};
  if (icmp.message == Message::error && !icmp.quotes_tcp && icmp.is_cut)
    return {"drop-fragment"};
  if (icmp.message != Message::error || !icmp.quotes_tcp || !is_protected(icmp.source.port))
    return {"pass-other"};
  return is_guard_flow(icmp.destination, icmp.source) ? Names{"pass-icmp-flow"}
                                                      : Names{"drop-icmp-no-flow"};
}

Names Oracle::client_icmp(const Bytes& frame, bool inward) const {
  const Icmp icmp = read_icmp(frame);
  const End& local = inward ? icmp.source : icmp.destination;
  const End& remote = inward ? icmp.destination : icmp.source;
  const int family = local.address.size() == 4 ? 4 : 6;
  const bool waits = !local.address.empty() && is(local, "client", 41002, family);
  const bool ours = icmp.message == Message::error && icmp.quotes_tcp && !local.address.empty() &&
                    (waits || is(local, "client", 41000, family)) &&
                    is(remote, inward ? "backend" : "second", 80, family);
  if (!ours || icmp.is_mapped)
    return {"pass-other"};
  return waits && inward ? Names{"pass-icmp-translated", "reply-syn-again"} // by the quoted ISN
                         : Names{"pass-icmp-translated"};
}

Names Oracle::client_outward(const Reading& reading, const Bytes& frame) const {
  if (reading.layer == Layer::other)
    return client_icmp(frame, false);
  if (reading.layer == Layer::defective)
    return {"pass-other"};
  if (kind_of(reading.flags) == Kind::syn)
    return client_syn(reading, frame);
  return (is(reading.source, "client", 41000, reading.family) ||
          is(reading.source, "client", 41002, reading.family)) &&
                 is(reading.destination, "second", 80, reading.family)
             ? Names{"pass-to-service"}
             : Names{"pass-other"};
}

Names Oracle::client_syn(const Reading& reading, const Bytes& frame) const {
  const int family = reading.family;
  if (is_link_local(reading.destination.address) || is_signed(reading.options.area))
    return {"pass-other"};
  const bool is_own = reading.source.address == address("client", family);
  const std::size_t hops_at = reading.l3 + (family == 4 ? 8 : 7);
  const bool is_bound = frame[hops_at] < 32 || reading.l4 - reading.l3 != (family == 4 ? 20 : 40);
  if (is_own && is(reading.destination, "backend", 80, family)) // places on the wire: ADR 0033
    return {"pass-other", "pass-to-service", "pass-syn-remembered"};
  if (is_bound)
    return {"pass-other"};
  if (!is_own || !is(reading.destination, "second", 80, family))
    return {"pass-syn-remembered"};
  const bool carries_data = reading.ip_end > reading.l4 + reading.header_bytes;
  const bool has_room =
      reading.options.area.size() + 16 <= 40 && !carries_data && reading.ip_end == frame.size();
  return {has_room ? "pass-syn-ticketed" : "pass-syn-unticketed"};
}

Names Oracle::client_answer(const Reading& reading, int connect) const {
  const int family = reading.family;
  const Options& options = reading.options;
  const bool fits = reading.ack == number("$isn", family) + 1;
  if (kind_of(reading.flags) == Kind::syn_ack) {
    if (!fits)
      return {"pass-other"};
    if (!options.sound())
      return {"pass-bad-option"};
    return {options.type == 1 ? "reply-accept" : "pass-syn-ack-noted"};
  }
  const bool is_exact = connect == 40002 && fits && (reading.flags & 16) != 0 &&
                        reading.seq == number("$cookie.now", family) + 1;
  if (!is_exact)
    return {!options.sound()    ? "pass-bad-option"
            : options.type == 3 ? "pass-redirect-unexpected"
                                : "pass-other"};
  if (!options.sound() || options.type != 3) // of no use, and the TRAP server serves
    return {"reply-syn-again"};
  const Bytes target(options.body.begin() + 17, options.body.end());
  return target == address("backend", family) && (options.body[1] << 8 | options.body[2]) == 80
             ? Names{"reply-reissued-syn"}
             : Names{"reply-reissued-syn", "reply-syn-again"};
}

// Of the TRAP server, whose connect follows its redirect already.
Names Oracle::client_late_answer(const Reading& reading) const {
  const Options& options = reading.options;
  const bool fits = reading.ack == number("$isn", reading.family) + 1;
  if (kind_of(reading.flags) == Kind::syn_ack)
    return {fits ? "drop-late-answer" : "pass-other"};
  const bool is_traps = !options.sound() || options.type == 3;
  if (fits && (reading.flags & 16) != 0 && reading.seq == 1) // no number of the server's is known
    return is_traps ? Names{"drop-late-answer"} : Names{"pass-other", "reply-syn-again"};
  return {!options.sound()    ? "pass-bad-option"
          : options.type == 3 ? "pass-redirect-unexpected"
                              : "pass-other"};
}

// Of the target of a connect that waits for its answer.
Names Oracle::client_target(const Reading& reading) const {
  const int family = reading.family;
  const Options& options = reading.options;
  const Kind kind = kind_of(reading.flags);
  const bool fits = reading.ack == number("$isn", family) + 1;
  if (kind == Kind::syn)
    return {"drop-unconsented"};
  if (kind == Kind::rst && fits && (reading.flags & 16) != 0)
    return {"reply-syn-again"};
  if (kind != Kind::syn_ack || !fits)
    return {"pass-from-service"};
  const bool consents =
      options.sound() && options.type == 6 &&
      Bytes(options.body.begin() + 1, options.body.end()) ==
          test::read_hex(constants_.text("consent.v" + std::to_string(family) + ".valid"));
  return {consents ? "pass-from-service" : "reply-unconsented"};
}

Names Oracle::client_inward(const Reading& reading, const Bytes& frame) const {
  if (is_to_group(frame))
    return {"pass-other"};
  if (reading.layer == Layer::other)
    return client_icmp(frame, true);
  if (reading.layer == Layer::defective)
    return {"pass-other"};
  const int family = reading.family;
  const Kind kind = kind_of(reading.flags);
  const bool is_from_target = is(reading.source, "backend", 80, family);
  if (is_from_target && is(reading.destination, "client", 41000, family))
    return {kind == Kind::syn || kind == Kind::syn_ack ? "drop-unconsented" : "pass-from-service"};
  if (is_from_target && is(reading.destination, "client", 41002, family))
    return client_target(reading);
  if (kind != Kind::syn_ack && kind != Kind::rst)
    return {"pass-other"};
  if (is(reading.source, "second", 80, family) && is(reading.destination, "client", 41002, family))
    return client_late_answer(reading);
  for (const unsigned connect : {40000U, 40002U}) {
    if (is(reading.source, "public", 80, family) &&
        is(reading.destination, "client", connect, family))
      return client_answer(reading, static_cast<int>(connect));
  }
  return {"pass-other"};
}

} // namespace trap::walk
