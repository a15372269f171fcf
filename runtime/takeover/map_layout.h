// SPDX-License-Identifier: Apache-2.0
// The layout of a map: kind, sizes, and the fields of its keys and values as BTF tells them. Two
// layouts are compared field by field, by name, and entries of one are written as entries of the
// other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <linux/types.h>

#include "runtime/result.h"

struct bpf_map;
struct bpf_object;
struct btf;

namespace trap {

struct MapLayout {
  __u32 type = 0;
  __u32 flags = 0;
  __u32 entries = 0;
  __u32 key_bytes = 0;
  __u32 value_bytes = 0;
  std::shared_ptr<const btf> types; // null: the fields are not known
  std::string types_refused;        // by the kernel, which has them
  __u32 key_type = 0;               // ids in `types`
  __u32 value_type = 0;
};

// Of a map in the kernel; an error that names `path` if it cannot be asked.
Result<MapLayout> layout_of(int fd, const std::string& path);

// Of a map of an opened object, which outlives it.
MapLayout layout_of(const bpf_object* object, const bpf_map* map);

// "hash of 256 entries, 16-byte keys, 16-byte values, flags 0x0"
std::string describe(const MapLayout& layout);

// The memory that a map of this layout takes, roughly.
std::uint64_t bytes_of(const MapLayout& layout);

// Writes keys, or values, of one layout as those of another: fields by their names, zero where the
// earlier layout has none.
class FieldConverter {
public:
  // Sides without types convert only to the same number of bytes.
  static FieldConverter keys(const MapLayout& from, const MapLayout& to);
  static FieldConverter values(const MapLayout& from, const MapLayout& to);

  // Both sides have the same fields at the same places.
  bool is_identity() const { return identity_; }

  // Fields of the earlier layout that the later one has not, or has in another form: what they hold
  // is lost. Fields named "reserved" do not count.
  const std::set<std::string>& lost() const { return lost_; }

  std::size_t bytes_to() const { return bytes_to_; }
  void convert(std::span<const std::byte> from, std::span<std::byte> to) const;

private:
  struct Run {
    std::size_t from, to, bytes;
  };
  struct Side {
    const btf* types;
    __u32 type;
    std::size_t at;
  };

  static FieldConverter make(const MapLayout& from, __u32 from_type, std::size_t from_bytes,
                             const MapLayout& to, __u32 to_type, std::size_t to_bytes);
  bool match(const Side& from, const Side& to, const std::string& path);
  bool match_members(const Side& from, const Side& to, const std::string& path);
  bool match_arrays(const Side& from, const Side& to, const std::string& path);
  bool match_bytes(const Side& from, const Side& to);

  std::vector<Run> runs_;
  std::set<std::string> lost_;
  std::size_t bytes_to_ = 0;
  bool identity_ = true;
};

} // namespace trap
