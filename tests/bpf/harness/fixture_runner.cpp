// SPDX-License-Identifier: Apache-2.0
// Running a fixture: state in, packet in, and then verdict, action, bytes and state out.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <stdexcept>

#include "dataplane/verdict.h"
#include "runtime/verdict_text.h"
#include "tests/bpf/harness/fixture.h"
#include "tests/bpf/harness/layout.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

trap_verdict verdict_by_name(const std::string& name) {
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
    if (name == verdict_name(verdict))
      return static_cast<trap_verdict>(verdict);
  }
  throw std::runtime_error("no verdict is called " + name);
}

std::uint32_t expected_action(trap_action action, bool is_xdp) {
  switch (action) {
  case TRAP_ACTION_PASS:
    return is_xdp ? static_cast<std::uint32_t>(XDP_PASS)
                  : static_cast<std::uint32_t>(TC_ACT_UNSPEC);
  case TRAP_ACTION_REPLY:
    return is_xdp ? static_cast<std::uint32_t>(XDP_TX)
                  : static_cast<std::uint32_t>(TC_ACT_REDIRECT);
  default:
    return is_xdp ? static_cast<std::uint32_t>(XDP_DROP) : static_cast<std::uint32_t>(TC_ACT_SHOT);
  }
}

// "verdict" is a name, or a list of names of which any will do; all of one action.
std::vector<trap_verdict> expected_verdicts(const Json& expect) {
  const Json& names = expect.at("verdict");
  std::vector<trap_verdict> found;
  for (const Json& name : names.is_array() ? names : Json::array({names}))
    found.push_back(verdict_by_name(name));
  return found;
}

// "slot" is a number, or a list of them.
bool slot_fits(const Json& expect, std::uint32_t slot) {
  if (!expect.contains("slot"))
    return true;
  const Json& wanted = expect["slot"];
  return wanted.is_array() ? std::ranges::find(wanted, Json(slot)) != wanted.end() : wanted == slot;
}

// What a fixture cannot know, as it is in the frame: "seq": "any", and {"any": 4} for bytes among
// the options.
Json adopt(Json packet, const Bytes& frame, int family, const TestConstants& constants) {
  if (!packet.contains("tcp"))
    return packet;
  const std::size_t l4 = 14 + 4 * packet.value("vlan", std::size_t{0}) + (family == 4 ? 20 : 40);
  const auto hex_at = [&](std::size_t at, std::size_t size) {
    if (at + size > frame.size())
      throw std::runtime_error("the frame is too short for what may be anything in it: " +
                               to_hex(frame));
    return to_hex(&frame[at], size);
  };
  Json& tcp = packet["tcp"];
  if (tcp.value("seq", Json()) == "any")
    tcp["seq"] = "0x" + hex_at(l4 + 4, 4);
  Json before = Json::array();
  for (const Json& option : tcp.value("options", Json::array())) {
    const std::size_t at = l4 + 20 + build_options(before, family, constants).size();
    before.push_back(option.contains("any") ? Json({{"hex", hex_at(at, option["any"])}}) : option);
  }
  tcp["options"] = before;
  return packet;
}

} // namespace

Object& FixtureRunner::object(bool experimental) {
  if (rig_.load_twin)
    twins_[experimental ? 1 : 0] = &twin_object(rig_, constants_, experimental);
  return fresh_object(rig_, constants_, experimental);
}

void FixtureRunner::prepare() {
  object(false);
}

FixtureRunner::State FixtureRunner::state(Object& object) {
  State result;
  for (const std::string& name : object.map_names()) {
    if (std::ranges::count(rig_.tallies, name) == 0 &&
        (object.is_hash(name) || object.map_type(name) == BPF_MAP_TYPE_RINGBUF))
      result[name] = object.entries(name);
  }
  return result;
}

void FixtureRunner::write_state(Object& object, const Json& before, int family) {
  for (const auto& map : before.items()) {
    for (const Json& entry : map.value()) {
      const DescribedEntry described =
          describe_entry(map.key(), entry, family, constants_, now_unix_s_);
      object.put(map.key(), described.key, described.value);
    }
  }
}

std::string FixtureRunner::run(const Fixture& fixture, const Variables& variables) {
  const auto experimental = variables.find("experimental");
  encoding_ = experimental != variables.end() && experimental->second.get<bool>() ? 1 : 0;
  const bool is_next = looked_at_ != &fixture || !tested_[encoding_];
  if (looked_at_ != &fixture)
    tested_[0] = tested_[1] = nullptr;
  if (is_next)
    tested_[encoding_] = &object(encoding_ == 1);
  Object& tested = *tested_[encoding_];
  const auto family = variables.find("family");
  const Json json = substitute(fixture.json, variables);
  const int family_number =
      family != variables.end() ? family->second.get<int>() : json.value("family", 4);

  for (const std::string& name : tested.map_names()) {
    if (tested.is_hash(name) && tested.map_type(name) != BPF_MAP_TYPE_HASH)
      tested.clear(name); // what programs fill; the others are configuration
  }
  whole_ = looked_at_ !=
           &fixture; // the first combination of its variables only: to read every map takes long
  looked_at_ = &fixture;
  const Json& moment = constants_.moment(json.value("moment", "now"));
  now_unix_s_ = moment["unix_s"];
  for (const std::string& name : rig_.refilled)
    tested.restore(name);
  rig_.set_time(tested, constants_, moment);
  if (rig_.set_rates)
    rig_.set_rates(tested, json.value("rates", Json::object()));
  write_state(tested, json.value("before", Json::object()), family_number);
  if (!json.contains("steps"))
    return run_step(tested, json, variables, family_number);
  std::size_t number = 0;
  for (const Json& step : json["steps"]) {
    number++;
    const std::string wrong = run_step(tested, step, variables, family_number);
    if (!wrong.empty())
      return "step " + std::to_string(number) + ": " + wrong;
  }
  return "";
}

std::string FixtureRunner::run_step(Object& object, const Json& step, const Variables& variables,
                                    int family) {
  const Bytes in = build_packet(step.at("packet"), family, constants_);
  const std::string program = step.value("run", rig_.programs[0]);
  if (!object.takes(program, in))
    return "";
  const State before = state(object);
  counted_ = object.counts(watched_slots);
  const Json& expect = choose_expectation(step.at("expect"), variables);
  if (std::string wrong = check_explanation(object, step, expect, in, before, family);
      !wrong.empty())
    return "explained: " + wrong;
  const Outcome outcome = object.run(program, in);
  return check(object, expect, in, {outcome, object.is_xdp(program)}, before, family);
}

std::string FixtureRunner::check(Object& object, const Json& expect, const Bytes& in,
                                 const Ran& ran, const State& before, int family) {
  const Outcome& outcome = ran.outcome;
  std::string wrong = check_verdict(object, expect, ran);
  if (wrong.empty())
    wrong = check_frame(expect, in, outcome, family);
  return check_state(object, expect.value("after", Json::object()), before, family) + wrong;
}

std::string FixtureRunner::check_verdict(Object& object, const Json& expect, const Ran& ran) {
  const std::vector<trap_verdict> allowed = expected_verdicts(expect);
  std::string moved;
  std::uint64_t total = 0;
  bool right = false;
  const std::vector<trap_count> now = object.counts(watched_slots);
  for (std::uint32_t slot = 0; slot < now.size() / TRAP_VERDICT_SLOTS; slot++) {
    for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
      const std::size_t at =
          std::size_t{slot} * TRAP_VERDICT_SLOTS + static_cast<std::size_t>(verdict);
      const std::uint64_t by = now[at].packets - counted_[at].packets;
      if (by == 0)
        continue;
      total += by;
      moved += std::string(" ") + verdict_name(verdict) + " (slot " + std::to_string(slot) +
               ", by " + std::to_string(by) + ")";
      right = right || (std::ranges::count(allowed, verdict) != 0 && slot_fits(expect, slot));
    }
  }
  if (total != 1 || !right)
    return "expected " + expect["verdict"].dump() +
           (expect.contains("slot") ? " of slot " + expect["slot"].dump() : "") +
           " to count 1, but these counted:" + (moved.empty() ? " none" : moved);
  const std::uint32_t action = expected_action(trap_verdict_action(allowed[0]), ran.is_xdp);
  if (ran.outcome.action != expect.value("action", action))
    return "expected action " + std::to_string(action) + ", got " +
           std::to_string(ran.outcome.action);
  return "";
}

std::string FixtureRunner::check_frame(const Json& expect, const Bytes& in, const Outcome& outcome,
                                       int family) {
  const trap_action action = trap_verdict_action(expected_verdicts(expect)[0]);
  Json packet = expect.value("packet", Json());
  if (packet.is_null()) {
    if (action == TRAP_ACTION_REPLY)
      return "a fixture with a reply must say which packet it expects";
    if (action != TRAP_ACTION_PASS)
      return "";
    packet = "unchanged";
  }
  if (packet == "any")
    return "";
  return difference(
      packet == "unchanged"
          ? in
          : build_packet(adopt(packet, outcome.frame, family, constants_), family, constants_),
      outcome.frame);
}

std::string FixtureRunner::check_state(Object& object, const Json& after, const State& before,
                                       int family) {
  for (const auto& [name, entries] : state(object)) {
    if (!after.contains(name)) {
      if (entries != before.at(name))
        return "map " + name + " changed, which the fixture does not expect; now it has " +
               std::to_string(entries.size()) + " entries";
      continue;
    }
    if (after[name] == "any")
      continue;
    if (entries.size() != after[name].size())
      return "map " + name + " has " + std::to_string(entries.size()) + " entries, expected " +
             std::to_string(after[name].size());
    for (const Json& entry : after[name]) {
      const DescribedEntry described = describe_entry(name, entry, family, constants_, now_unix_s_);
      const auto found = entries.find(object.key_of(name, described.key));
      if (found == entries.end())
        return "map " + name + " has no entry " + entry.dump();
      for (std::size_t i = 0; i < described.value.size(); i++) {
        if ((found->second[i] & described.value_mask[i]) !=
            (described.value[i] & described.value_mask[i]))
          return "map " + name + ": byte " + std::to_string(i) + " of the value for " +
                 entry.dump() + " is different: expected " + to_hex(described.value) + ", got " +
                 to_hex(found->second);
      }
    }
  }
  return "";
}

} // namespace trap::test
