// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/redirects.h"

#include <cerrno>
#include <vector>

#include <bpf/bpf.h>

namespace trap::lab {

Result<Redirects> Redirects::open(const Host& client) {
  Fd map{bpf_obj_get((client.bpf_directory() / "client/redirects").c_str())};
  bpf_map_info info{};
  std::uint32_t info_bytes = sizeof info;
  if (!map || bpf_obj_get_info_by_fd(map.get(), &info, &info_bytes) != 0)
    return Error{"cannot open trap-client's redirects: " + error_text(errno)};
  return Redirects{std::move(map), info.key_size};
}

// The lab knows the keys by their length alone: it drives the programs from outside.
void Redirects::forget() const {
  std::vector<std::uint8_t> key(key_bytes_);
  while (bpf_map_get_next_key(map_.get(), nullptr, key.data()) == 0 &&
         bpf_map_delete_elem(map_.get(), key.data()) == 0) {
  }
}

} // namespace trap::lab
