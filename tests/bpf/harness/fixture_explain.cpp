// SPDX-License-Identifier: Apache-2.0
// Each fixture's packet explained before it is run: the same verdict, the same answer, and not a
// bit of any map changed.
#include <algorithm>

#include "runtime/kernel/counters.h"
#include "runtime/kernel/explainer.h"
#include "runtime/verdict_text.h"
#include "tests/bpf/harness/fixture.h"

namespace trap::test {
namespace {

bool is_expected(const Json& names, const std::string& name) {
  return names.is_array() ? std::ranges::count(names, Json(name)) != 0 : names == name;
}

} // namespace

// What a packet could change; every map as a whole where that was asked for.
std::map<std::string, Bytes>
FixtureRunner::everything(Object& object, const State& state,
                          const std::vector<trap_count>& counts) const {
  std::map<std::string, Bytes> all;
  for (const auto& [name, entries] : state) {
    Bytes& bytes = all[name];
    for (const auto& [key, value] : entries) {
      bytes.insert(bytes.end(), key.begin(), key.end());
      bytes.insert(bytes.end(), value.begin(), value.end());
    }
  }
  for (const std::string& name : object.map_names()) {
    if (whole_)
      all[name + " as a whole"] = object.dump(name);
  }
  const auto* counted = reinterpret_cast<const std::uint8_t*>(counts.data());
  all["counters"].assign(counted, counted + counts.size() * sizeof(trap_count));
  return all;
}

std::string FixtureRunner::check_explanation(Object& object, const Json& step, const Json& expect,
                                             const Bytes& in, const State& before, int family) {
  const Object* twin = twins_[encoding_];
  if (twin == nullptr)
    return "";
  const auto earlier = everything(object, before, counted_);
  const auto explained = explain_frame(twin->program_fd(step.value("run", rig_.programs[0])), in);
  if (!explained)
    return explained.error().message;
  for (const auto& [name, bytes] :
       everything(object, state(object), object.counts(watched_slots))) {
    const auto found = earlier.find(name);
    if (found == earlier.end() || found->second != bytes)
      return "map " + name + " changed";
  }
  if (!is_expected(expect.at("verdict"), verdict_name(explained->verdict)))
    return std::string("verdict ") + verdict_name(explained->verdict) + ", expected " +
           expect["verdict"].dump();
  const Json slot = explained->slot;
  if (expect.contains("slot") &&
      (expect["slot"].is_array() ? std::ranges::count(expect["slot"], slot) == 0
                                 : expect["slot"] != slot))
    return "slot " + slot.dump() + ", expected " + expect["slot"].dump();
  return check_frame(expect, in, {0, explained->frame}, family);
}

} // namespace trap::test
