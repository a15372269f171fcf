// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/map_store.h"

#include <cerrno>

namespace trap {
namespace {

class KernelMaps final : public MapStore {
public:
  int look_up(int fd, const void* key, void* value) override {
    return bpf_map_lookup_elem(fd, key, value);
  }

  int update(int fd, const void* key, const void* value, __u64 flags) override {
    return bpf_map_update_elem(fd, key, value, flags);
  }

  int erase(int fd, const void* key) override { return bpf_map_delete_elem(fd, key); }

  int next_key(int fd, const void* key, void* next) override {
    return bpf_map_get_next_key(fd, key, next);
  }

  int look_up_batch(int fd, void* position, void* next, void* keys, void* values,
                    __u32* count) override {
    return bpf_map_lookup_batch(fd, position, next, keys, values, count, nullptr);
  }

  int update_batch(int fd, const void* keys, const void* values, __u32* count) override {
    return bpf_map_update_batch(fd, keys, values, count, nullptr);
  }

  int make_trie(const char* name, __u32 key_bytes, __u32 value_bytes, __u32 entries) override {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
    const int fd =
        bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, name, key_bytes, value_bytes, entries, &options);
    return fd == -1 ? -errno : fd;
  }
};

} // namespace

MapStore& kernel_maps() {
  static KernelMaps maps;
  return maps;
}

} // namespace trap
