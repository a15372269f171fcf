// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/redirects.h"

#include <cerrno>

#include <bpf/bpf.h>

#include "client/maps.h"
#include "runtime/kernel/bpf_map.h"

namespace trap::bench {

Result<Redirects> Redirects::open(const lab::Host& client) {
  Fd map{bpf_obj_get((client.bpf_directory() / "client/redirects").c_str())};
  if (!map)
    return Error{"cannot open trap-client's redirects: " + error_text(errno)};
  return Redirects{std::move(map)};
}

void Redirects::forget() const {
  for (const trap_redirect_key& key : map_keys<trap_redirect_key>(map_.get()))
    bpf_map_delete_elem(map_.get(), &key);
}

} // namespace trap::bench
