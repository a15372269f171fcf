// SPDX-License-Identifier: Apache-2.0
// Takes over the maps that an earlier run has pinned: a map of the same layout is shared with the
// program that works on; another one is carried over into a new map, while the old program protects
// from the old one (docs/adr/0040). Nothing is touched before all is decided.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/result.h"
#include "runtime/takeover/map_layout.h"

struct bpf_object;

namespace trap {

// Of the pins that this version leaves, in the map `layout`. Version 0.4.0 left none, which counts
// as 1. It grows when an earlier version could not take the pins over, or would misread them.
constexpr std::uint32_t layout_number = 2;

// The number beside the pins of a directory; 1 if there is none.
std::uint32_t read_layout_number(const std::string& pin_dir);

// How the entries of a map come into one of another layout or size.
enum class Carry {
  entries, // one by one, field by field; an array's by its index
  by_part, // by the part itself, because their places follow from their keys
  nothing, // the daemon fills it, or it holds what the next packets bring again
};

struct EntryForm {
  std::string key, value; // names of structs that this version has
};

struct MapPlan {
  Carry carry = Carry::entries;
  std::string former_name{};        // in an earlier layout
  std::set<std::string> given_up{}; // fields of earlier layouts that need not be kept
  // If an earlier layout was a hash and this one is a table in an array: the structs of its keys
  // and values, in which the part visits them. Carry::by_part alone.
  std::optional<EntryForm> former_entries{};
};

// By the map's name; a map that is not there has the defaults. Ring buffers and maps of maps are
// never carried.
using TakeoverPlan = std::map<std::string, MapPlan>;

// The map that an earlier run pinned, and whose entries are to be carried.
class EarlierMap {
public:
  using Visit = std::function<void(const void* key, const void* value)>;

  EarlierMap(Fd fd, MapLayout from, const MapLayout& to)
      : fd_(std::move(fd)), from_(std::move(from)), keys_(FieldConverter::keys(from_, to)),
        values_(FieldConverter::values(from_, to)) {}

  // Keys and values as this version has them. A map of each CPU has the values of all CPUs in a
  // row.
  void visit(const Visit& visit_entry) const;

  const MapLayout& layout() const { return from_; }
  const FieldConverter& keys() const { return keys_; }
  const FieldConverter& values() const { return values_; }
  int fd() const { return fd_.get(); }

private:
  void visit_array(const Visit& visit_entry) const;
  void visit_hash(const Visit& visit_entry) const;

  Fd fd_;
  MapLayout from_;
  FieldConverter keys_, values_;
};

class Takeover {
public:
  // Decides about each map of an opened object, has it use the maps that it shares, and refuses
  // what it could not carry, or has no memory for.
  static Result<Takeover> decide(bpf_object* object, const std::string& pin_dir,
                                 const std::string& program, const TakeoverPlan& plan);

  // Once the object is loaded: pins the maps that no earlier run had, and carries the others.
  Result<void> carry(Undo& undo);

  // The earlier map whose entries the part carries itself; null if it shares them, or there is
  // none.
  const EarlierMap* earlier(const std::string& map) const;

  // No earlier run had the map.
  bool is_new(const std::string& map) const;

  // Once the new programs are in place: carries what the old ones have entered meanwhile, pins the
  // new maps in place of the old ones and removes pins that this version has no use for.
  Result<void> finish();

  // The pin of the layout's number.
  std::vector<Pin> pins() const;

private:
  Result<void> decide_map(bpf_map* map, const MapPlan& plan);
  Result<void> carry_entries(const std::string& name, bool again) const;

  const bpf_object* object_ = nullptr;
  std::string pin_dir_, program_;
  std::map<std::string, EarlierMap> earlier_; // by the new map's name
  std::map<std::string, Carry> how_;          // of those
  std::vector<std::string> fresh_;            // without an earlier one
  Fd number_;
};

} // namespace trap
