// SPDX-License-Identifier: Apache-2.0
// Fixtures: what a program must do with a packet, as data. tests/bpf/README.md describes the
// format.
#pragma once

#include <string>
#include <vector>

#include "tests/bpf/harness/rig.h"

namespace trap::test {

// Service slots whose counters are looked at.
inline constexpr std::uint32_t watched_slots = 32;

struct Fixture {
  std::string name;
  std::string goal;
  Json json;
};

// One choice of values for the variables of a fixture's for_each.
using Variables = std::map<std::string, Json>;

std::vector<Fixture> read_fixtures(const std::string& folder);
// Every combination of the values of for_each, in order.
std::vector<Variables> expand(const Json& for_each);
// `json` with "${name}" replaced.
Json substitute(const Json& json, const Variables& variables);
// The expectation that applies: `expect` itself, or the first of its list whose "when" fits the
// variables.
const Json& choose_expectation(const Json& expect, const Variables& variables);

// Runs fixtures on one loaded object for each encoding, and has each packet explained before: that
// must say the same and change nothing. Returns "" or what went wrong.
class FixtureRunner {
public:
  explicit FixtureRunner(const Rig& rig) : rig_(rig) {}

  // Loads the programs; throws if the kernel refuses one.
  void prepare();
  std::string run(const Fixture& fixture, const Variables& variables);
  const TestConstants& constants() const { return constants_; }

private:
  using State = std::map<std::string, Entries>;
  struct Ran {
    Outcome outcome;
    bool is_xdp; // and not tc
  };

  Object& object(bool experimental);
  State state(Object& object);
  std::string run_step(Object& object, const Json& step, const Variables& variables, int family);
  std::string check(Object& object, const Json& expect, const Bytes& in, const Ran& ran,
                    const State& before, int family);
  std::string check_verdict(Object& object, const Json& expect, const Ran& ran);
  std::string check_frame(const Json& expect, const Bytes& in, const Outcome& outcome, int family);
  std::string check_state(Object& object, const Json& after, const State& before, int family);
  std::string check_explanation(Object& object, const Json& step, const Json& expect,
                                const Bytes& in, const State& before, int family);
  std::map<std::string, Bytes> everything(Object& object, const State& state,
                                          const std::vector<trap_count>& counts) const;
  void write_state(Object& object, const Json& before, int family);

  const Rig& rig_;
  const TestConstants constants_;
  Object* tested_[2] = {}; // by encoding, as the fixture at hand uses them
  int encoding_ = 0;
  Object* twins_[2] = {};           // of those, which explain
  std::vector<trap_count> counted_; // before the packet
  std::uint64_t now_unix_s_ = 0;
  const Fixture* looked_at_ = nullptr; // whose maps were compared as a whole
  bool whole_ = false;
};

} // namespace trap::test
