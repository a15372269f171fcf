// SPDX-License-Identifier: Apache-2.0
// trap-client in the fixtures' world: every hook, default settings, and two [[trust]] of services
// that only their own fixtures speak of.
#include "tests/bpf/harness/rig.h"

#include <cstring>
#include <stdexcept>

#include "client/maps.h"
#include "runtime/config/prefix.h"
#include "trap_client.skel.h"

namespace trap::test {
namespace {

std::unique_ptr<Object> load_client(bool, bool small) {
  trap_client* skeleton = trap_client__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_client: " + last_libbpf_warning());
  if (small)
    shrink_lru_maps(skeleton->obj);
  if (trap_client__load(skeleton) != 0)
    throw std::runtime_error("cannot load trap_client: " + last_libbpf_warning());
  return std::make_unique<Object>(skeleton->obj, [skeleton] { trap_client__destroy(skeleton); });
}

std::unique_ptr<Object> load_client_twin(bool, const Object& live) {
  trap_client* skeleton = trap_client__open();
  if (skeleton == nullptr)
    throw std::runtime_error("cannot open trap_client: " + last_libbpf_warning());
  skeleton->rodata->explaining = 1;
  load_twin_of(live, skeleton->obj, [skeleton] { return trap_client__load(skeleton); });
  return std::make_unique<Object>(skeleton->obj, [skeleton] { trap_client__destroy(skeleton); });
}

void put_trust(Object& object, const std::string& map, std::uint32_t of, const std::string& prefix,
               std::uint32_t value) {
  const auto parsed = parse_prefix(prefix);
  if (!parsed)
    throw std::runtime_error(parsed.error().message);
  const trap_trust_key key = {.bits = 32 + parsed->bits, .of = of, .prefix = parsed->address};
  object.put(map, key, value);
}

// Trust 1, and trust 2 for some of its addresses and for a port of one.
// Fixtures put connections into tables, so every remote may be one of theirs.
void configure_client(Object& object, const World&) {
  trap_remotes all;
  std::memset(&all, 0xff, sizeof all);
  object.put("remotes", std::uint32_t{0}, all);
  object.put("settings", std::uint32_t{0}, trap_client_settings{});
  put_trust(object, "trust_services", 0, "198.18.50.0/24", 1);
  put_trust(object, "trust_services", 0, "2001:db8:5050::/48", 1);
  put_trust(object, "trust_services", 0, "198.18.50.128/25", 2);
  put_trust(object, "trust_services", 443, "198.18.50.7", 2);
  for (const char* target : {"198.18.60.0/24", "10.60.0.0/16", "2001:db8:6060::/48", "fd60::/16"})
    put_trust(object, "trust_targets", 1, target, 1);
  put_trust(object, "trust_targets", 2, "198.18.70.0/24", 1);
}

} // namespace

const Rig& client_rig() {
  static const Rig rig = {"client",
                          load_client,
                          configure_client,
                          [](Object&, const World&, const Json&) {},
                          {"trap_client_egress", "trap_client_ingress", "trap_client_egress_lan"},
                          nullptr,
                          load_client_twin};
  return rig;
}

} // namespace trap::test
