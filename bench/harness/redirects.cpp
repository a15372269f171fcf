// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/redirects.h"

#include <cerrno>
#include <stdexcept>

#include <bpf/bpf.h>

#include "client/maps.h"
#include "runtime/kernel/bpf_map.h"
#include "runtime/result.h"

namespace trap::bench {

Redirects::Redirects(const lab::Host& client)
    : map_(bpf_obj_get((client.bpf_directory() / "client/redirects").c_str())) {
  if (!map_)
    throw std::runtime_error("cannot open trap-client's redirects: " + error_text(errno));
}

void Redirects::forget() const {
  for (const trap_redirect_key& key : map_keys<trap_redirect_key>(map_.get()))
    bpf_map_delete_elem(map_.get(), &key);
}

} // namespace trap::bench
