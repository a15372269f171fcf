// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <fmt/format.h>
#include <net/ethernet.h>

#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/forger.h"

namespace trap::lab {
namespace {

constexpr std::uint16_t dot1q = 0x8100, dot1ad = 0x88a8;
constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment = 44, authentication = 51,
                       destination = 60;

struct Evasion {
  std::string_view name, verdict;
  Segment segment;
  std::vector<VlanTag> tags = {};
};

Bytes joined(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

ExtensionHeader extension(std::uint8_t type) {
  switch (type) {
  case authentication:
    return {type, {0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
  case routing: // nothing left to route
    return {type, {0, 0, 4, 0, 0, 0, 0, 0}};
  default: // padding
    return {type, {0, 0, 1, 4, 0, 0, 0, 0}};
  }
}

ExtensionHeader fragment_header(std::uint8_t offset_bytes, bool more) {
  return {fragment,
          {0, 0, 0, static_cast<std::uint8_t>(offset_bytes | (more ? 1 : 0)), 0, 0, 0, 7}};
}

// The same in both families. `valid` is a ticket that alone would open the port.
std::vector<Evasion> in_either(const Segment& syn, const Bytes& valid) {
  std::vector<Evasion> all;
  const auto add = [&](std::string_view name, std::string_view verdict, auto change) {
    all.push_back({name, verdict, syn});
    change(all.back().segment);
  };
  const auto add_tagged = [&](std::string_view name, std::string_view verdict,
                              std::initializer_list<std::uint16_t> types, auto change) {
    add(name, verdict, change);
    std::uint16_t id = 10;
    for (const std::uint16_t type : types)
      all.back().tags.push_back({type, id++});
  };
  const auto as_it_is = [](Segment&) {};
  const auto with_ticket = [&](Segment& s) { s.options = valid; };
  add_tagged("a VLAN tag", "drop-uninvited", {dot1q}, as_it_is);
  add_tagged("an 802.1ad tag", "drop-uninvited", {dot1ad}, as_it_is);
  add_tagged("QinQ", "drop-uninvited", {dot1ad, dot1q}, as_it_is);
  add_tagged("QinQ, an ACK", "drop-no-flow", {dot1ad, dot1q},
             [](Segment& s) { s.flags = tcp_ack; });
  add_tagged("three VLAN tags", "drop-vlan-tags", {dot1ad, dot1q, dot1q}, with_ticket);
  add_tagged("eight VLAN tags", "drop-vlan-tags",
             {dot1q, dot1q, dot1q, dot1q, dot1q, dot1q, dot1q, dot1q}, with_ticket);
  for (const std::uint8_t words : {0, 4, 6, 15})
    add("a data offset that is not there", "drop-bad-data-offset",
        [=](Segment& s) { s.data_offset = words; });
  add("a header that the frame cuts", "drop-truncated", [](Segment& s) { s.cut_bytes = 4; });
  add("options that the frame cuts", "drop-truncated",
      [&](Segment& s) { s.options = valid, s.cut_bytes = 4; });
  add("two tickets", "drop-duplicate-option",
      [&](Segment& s) { s.options = joined(valid, valid); });
  add("a ticket and an OFFER", "drop-duplicate-option", [&](Segment& s) {
    s.options = joined(valid, {0x56, 4, 0x11, 0});
  });
  add("a ticket that begins inside another", "drop-malformed-option", [&](Segment& s) {
    s.options = joined({0x56, 20, 0x14, 0}, valid);
  });
  add("a ticket longer than the options", "drop-malformed-option",
      [&](Segment& s) { s.options = valid, s.options[1] = 40; });
  add("a ticket hidden in an option of another kind", "drop-uninvited", [&](Segment& s) {
    s.options = joined({0x1e, 20, 0, 0}, valid);
  });
  add("a ticket behind the end of options", "drop-uninvited", [&](Segment& s) {
    s.options = joined({0, 0, 0, 0}, valid);
  });
  add("an option of no length before the ticket", "drop-malformed-option", [&](Segment& s) {
    s.options = joined({2, 0, 1, 1}, valid);
  });
  add("an option of length 1 before the ticket", "drop-malformed-option", [&](Segment& s) {
    s.options = joined({8, 1, 1, 1}, valid);
  });
  return all;
}

std::vector<Evasion> in_ipv4(const Segment& syn) {
  std::vector<Evasion> all;
  const auto add = [&](std::string_view name, std::string_view verdict, auto change) {
    all.push_back({name, verdict, syn});
    change(all.back().segment);
  };
  add("IPv4 options", "drop-uninvited", [](Segment& s) { s.ip.options = {1, 1, 1, 0}; });
  add("forty bytes of IPv4 options", "drop-uninvited",
      [](Segment& s) { s.ip.options = Bytes(40, 1); });
  add("a source route", "drop-uninvited",
      [](Segment& s) { s.ip.options = {1, 0x83, 7, 8, 198, 51, 100, 20}; });
  add("a tiny first fragment", "drop-fragment",
      [](Segment& s) { s.ip.fragment = ipv4_more_fragments, s.part_bytes = 8; });
  add("the rest after a tiny fragment", "drop-fragment",
      [](Segment& s) { s.ip.fragment = 1, s.part_from = 8; });
  add("a whole segment that says more is to come", "drop-fragment",
      [](Segment& s) { s.ip.fragment = ipv4_more_fragments; });
  add("a fragment over the ports of an earlier one", "drop-fragment",
      [](Segment& s) { s.ip.fragment = ipv4_more_fragments, s.part_bytes = 16; });
  return all;
}

std::vector<Evasion> in_ipv6(const Segment& syn) {
  std::vector<Evasion> all;
  const auto add = [&](std::string_view name, std::string_view verdict,
                       std::vector<ExtensionHeader> extensions) -> Segment& {
    all.push_back({name, verdict, syn});
    all.back().segment.ip.extensions = std::move(extensions);
    return all.back().segment;
  };
  add("hop-by-hop options", "drop-uninvited", {extension(hop_by_hop)});
  add("a routing header", "drop-uninvited", {extension(routing)});
  add("destination options", "drop-uninvited", {extension(destination)});
  add("an authentication header", "drop-uninvited", {extension(authentication)});
  add("four extension headers", "drop-uninvited",
      {extension(hop_by_hop), extension(destination), extension(routing),
       extension(authentication)});
  add("five extension headers", "drop-extension-headers",
      {extension(hop_by_hop), extension(destination), extension(routing), extension(destination),
       extension(destination)});
  add("twelve extension headers", "drop-extension-headers",
      std::vector<ExtensionHeader>(12, extension(destination)));
  add("a fragment of one", "drop-fragment", {fragment_header(0, false)});
  add("a first fragment", "drop-fragment", {fragment_header(0, true)});
  add("a tiny first fragment", "drop-fragment", {fragment_header(0, true)}).part_bytes = 8;
  add("a later fragment", "drop-fragment", {fragment_header(8, false)}).part_from = 8;
  add("a fragment behind other headers", "drop-fragment",
      {extension(destination), extension(routing), fragment_header(0, true)});
  add("options that reach beyond the packet", "drop-bad-ip-header",
      {{destination, {0, 200, 1, 4, 0, 0, 0, 0}}});
  return all;
}

// A part of the segment as a fragment, by its first byte, which is a multiple of eight.
Segment part_of(Segment whole, std::uint8_t from, std::size_t bytes, bool more) {
  whole.ip.fragment = static_cast<std::uint16_t>(from / 8 | (more ? ipv4_more_fragments : 0));
  whole.ip.extensions = {fragment_header(from, more)};
  whole.part_from = from;
  whole.part_bytes = bytes;
  return whole;
}

// Whichever of them the stack would believe (RFC 5722 forbids them in IPv6): none comes to it.
void overlapping_fragments(Scene& scene, Family family, const Segment& syn, const Bytes& valid) {
  Segment ticketed = syn;
  ticketed.options = valid;
  const Segment first = part_of(ticketed, 0, 24, true), over_the_first = part_of(syn, 0, 16, true),
                across = part_of(ticketed, 8, 16, true),
                rest = part_of(ticketed, 16, std::numeric_limits<std::size_t>::max(), false);
  const auto expect = [&](const std::vector<Segment>& fragments, std::string_view what) {
    expect_verdict(scene, fragments, "drop-fragment", fmt::format("{}, {}", name_of(family), what));
  };
  expect({first, over_the_first, rest}, "a second first fragment over the first");
  expect({first, across, rest}, "a fragment across two others");
  expect({rest, across, first}, "the same backwards");
  expect({first, first, rest, rest}, "fragments twice");
}

// The ticket that they carry is a valid one: without the evasion it passes, as `tickets` shows.
void evasions(Scene& scene) {
  const auto forger = Forger::with_key_of("service");
  if (!scene.check(static_cast<bool>(forger), "a guard's key is stolen",
                   forger ? "" : forger.error().message))
    return;
  for (const Family family : families) {
    const Segment syn = syn_from("stranger", family);
    const Bytes valid = forger->ticket({.client = syn.from.address});
    std::vector<Evasion> all = in_either(syn, valid);
    for (Evasion& more : family == Family::ipv4 ? in_ipv4(syn) : in_ipv6(syn))
      all.push_back(std::move(more));
    for (const Evasion& one : all)
      expect_verdict_of_frames(scene, {frame_to(addresses_of("service"), one.segment, one.tags)},
                               std::string{one.verdict},
                               fmt::format("{}, {}", name_of(family), one.name));
    overlapping_fragments(scene, family, syn, valid);
  }
}

const Registration register_evasions{{
    .name = "evasions",
    .goal = "tags, options, extension headers and fragments hide nothing",
    .plan = quiet_plan(),
    .play = evasions,
}};

} // namespace
} // namespace trap::lab
