// SPDX-License-Identifier: Apache-2.0
// trap-client in the fixtures' world: both hooks, default settings.
#include "tests/bpf/rig.h"

#include <stdexcept>

#include "client/maps.h"
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

void configure_client(Object& object, const World&) {
  object.put("settings", std::uint32_t{0}, trap_client_settings{});
}

} // namespace

const Rig& client_rig() {
  static const Rig rig = {
      "client", load_client,     configure_client, [](Object&, const World&, const Json&) {}, {"trap_client_egress", "trap_client_ingress"},
      nullptr,  load_client_twin};
  return rig;
}

} // namespace trap::test
