// SPDX-License-Identifier: Apache-2.0
// trap-client for the fixtures: every hook, and maps that the daemon's own reader and writer filled
// from the configuration below: default settings, a translator's prefix and two [[trust]] of
// services that only their own fixtures speak of; and links of the host's own.
#include "tests/bpf/harness/rig.h"

#include <cstring>
#include <stdexcept>

#include "client/daemon/maps/client_maps.h"
#include "trap_client.skel.h"

namespace trap::test {
namespace {

using namespace client;

constexpr std::uint32_t slots = 1;

// The second is for some addresses of the first, and for a port of one.
constexpr char configuration[] = R"(interfaces = ["lo"]
nat64_prefix = "2001:db8:64::/96"
[[trust]]
services = ["198.20.50.0/24", "2001:db8:5050::/48"]
targets = ["198.20.60.0/24", "10.60.0.0/16", "2001:db8:6060::/48", "fd60::/16"]
[[trust]]
services = ["198.20.50.128/25", "198.20.50.7:443"]
targets = ["198.20.70.0/24"]
)";

void configure_client(Object& object, const TestConstants&) {
  static const ClientConfig config = read_configuration(configuration, read_client_config);
  trap_client_settings settings = {};
  const TrustFds fds = {.services = object.map_fd("trust_services"),
                        .targets = object.map_fd("trust_targets")};
  if (auto written = write_policy(fds, settings, config); !written)
    throw std::runtime_error(written.error().message);
  object.put("settings", std::uint32_t{0}, settings);
  const std::vector<LinkPrefix> links = {{*parse_prefix("198.20.80.0/25"), 5},
                                         {*parse_prefix("2001:db8:8080:1::/64"), 5},
                                         {*parse_prefix("198.20.80.192/27"), 6},
                                         {*parse_prefix("2001:db8:8080:3::/64"), 6}};
  if (auto written = write_links(object.map_fd("links"), links); !written)
    throw std::runtime_error(written.error().message);
  // Fixtures put connections into tables by themselves, so every remote may be one of theirs.
  trap_remotes all;
  std::memset(&all, 0xff, sizeof all);
  object.put("remotes", std::uint32_t{0}, all);
}

Program<trap_client>::Prepare prepared(bool small) {
  return [small](trap_client& skeleton) {
    if (small)
      shrink_maps(skeleton.obj, slots);
    allow_mapping(skeleton.obj);
  };
}

} // namespace

const Rig& client_rig() {
  static const Rig rig = {
      .part = "client",
      .load = [](bool,
                 bool small) { return object_of(Program<trap_client>::load(prepared(small))); },
      .configure = configure_client,
      .set_time = [](Object&, const TestConstants&, const Json&) {},
      .programs = {"trap_client_egress", "trap_client_ingress", "trap_client_egress_lan"},
      .refilled = {"settings", "remotes"},
      .tallies = {"owners"},
      .load_twin =
          [](bool, const Object& live) {
            return object_of(Program<trap_client>::load_twin(live.object(), prepared(false)));
          }};
  return rig;
}

} // namespace trap::test
