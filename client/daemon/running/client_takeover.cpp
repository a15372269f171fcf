// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/running/client_takeover.h"

#include "runtime/takeover/upon_pins.h"
#include "trap_client.skel.h"

namespace trap::client {
namespace {

class RemoteBits {
public:
  void note(const trap_address& address, __be16 port) {
    const __u32 bit = trap_remote_bit(&address, port);
    remotes_->words[bit / 64] |= 1ULL << bit % 64;
  }
  const trap_remotes& words() const { return *remotes_; }

private:
  std::unique_ptr<trap_remotes> remotes_ = std::make_unique<trap_remotes>();
};

} // namespace

// `translations` is the sockets' own storage, which nothing but a program can copy: a version that
// changes its layout has to bring a way.
TakeoverPlan takeover_plan() {
  return {{"scratch", {.carry = Carry::nothing}}};
}

Result<void> check_takeover(const ClientConfig& config) {
  return check_upon_pins<trap_client>(
      config.part.pin_dir, "trap-client", takeover_plan(),
      [&](trap_client& skeleton) { size_tables(skeleton, config); });
}

Result<void> note_remotes(RunningClient& client) {
  if (!client.takeover.is_new("remotes"))
    return {};
  const auto& maps = client.program->maps;
  RemoteBits bits;
  map_visit<trap_redirect_key, trap_redirect>(
      bpf_map__fd(maps.redirects),
      [&](const trap_redirect_key& key, const trap_redirect& redirect) {
        bits.note(key.service, key.port);
        bits.note(redirect.backend, redirect.port);
      });
  map_visit<trap_tuple, trap_outward>(bpf_map__fd(maps.to_backend),
                                      [&](const trap_tuple& tuple, const trap_outward& outward) {
                                        bits.note(tuple.remote, tuple.remote_port);
                                        bits.note(outward.backend, outward.port);
                                      });
  map_visit<trap_origin_key, trap_origins>(
      bpf_map__fd(maps.origins), [&](const trap_origin_key& key, const trap_origins& origins) {
        bits.note(key.backend, key.port);
        for (const trap_inward& place : origins.services)
          bits.note(place.service, place.port);
      });
  return map_write(bpf_map__fd(maps.remotes), "remotes", __u32{0}, bits.words());
}

} // namespace trap::client
