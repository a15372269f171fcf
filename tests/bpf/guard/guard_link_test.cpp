// SPDX-License-Identifier: Apache-2.0
// Packets without an Ethernet header, as of tun, WireGuard and IP tunnels, are judged as frames
// with one are: the same packet with and without it has the same verdict.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "guard/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

struct Judged {
  std::uint32_t action = 0;
  std::vector<std::uint64_t> packets; // by slot and verdict
};

bool operator==(const Judged& a, const Judged& b) {
  return a.action == b.action && a.packets == b.packets;
}

// With a flow from port 40000 to port 80.
Judged judge(const char* program, const Bytes& packet, int family, const TestConstants& constants) {
  Object& guard = fresh_object(part_under_test(), constants);
  const Json flow = {
      {"client", "client"}, {"service", "backend"}, {"client_port", 40000}, {"service_port", 80}};
  const DescribedEntry entry = describe_entry("flows", flow, family, constants, 0);
  guard.put("flows", entry.key, entry.value);
  Judged judged;
  judged.action = guard.run(program, packet).action;
  for (const trap_count& count : guard.counts(2))
    judged.packets.push_back(count.packets);
  return judged;
}

class GuardLink : public testing::TestWithParam<int> {};

TEST_P(GuardLink, makes_no_difference_to_the_verdict) {
  const TestConstants constants;
  const Json to = {{"dst", "backend"}};
  std::vector<Bytes> frames;
  for (const char* flags : {"S", "PA", "FA", "R", "SA", ""})
    for (const int port : {80, 40001})
      frames.push_back(build_packet(
          {{"ip", to}, {"tcp", {{"flags", flags}, {"sport", port == 80 ? 40000 : port}}}},
          GetParam(), constants));
  for (const int port : {81, 443})
    frames.push_back(build_packet({{"ip", to}, {"tcp", {{"flags", "S"}, {"dport", port}}}},
                                  GetParam(), constants));
  const std::size_t whole = frames.size();
  for (std::size_t i = 0; i < whole; i += 8) {
    for (const std::size_t bytes : {30, 50}) {
      if (bytes < frames[i].size())
        frames.emplace_back(frames[i].begin(), frames[i].begin() + static_cast<long>(bytes));
    }
    for (const std::size_t at : {14, 16, 18, 20, 23, 46}) { // version, lengths, fragment, protocol
      Bytes changed = frames[i];
      changed[at] ^= 0x25;
      frames.push_back(changed);
    }
    Bytes icmp = frames[i]; // a query or an error that quotes nothing
    icmp[GetParam() == 4 ? 23 : 20] = GetParam() == 4 ? 1 : 58;
    frames.push_back(icmp);
  }
  unsigned dropped = 0;
  for (const Bytes& frame : frames) {
    const Judged with = judge("trap_guard", frame, GetParam(), constants);
    const Bytes bare(frame.begin() + ETH_HLEN, frame.end());
    if (bare.size() < ETH_HLEN)
      continue; // the kernel takes none that is shorter for a test run
    // The EtherType says the family of a frame, whatever the version says.
    if (bare[0] >> 4 != GetParam())
      continue;
    const Judged without = judge("trap_guard_ip", bare, GetParam(), constants);
    EXPECT_TRUE(with == without) << testing::PrintToString(frame);
    dropped += without.action == XDP_DROP;
  }
  EXPECT_GT(dropped, 4U);
}

TEST_P(GuardLink, lets_a_stranger_in_nowhere) {
  const TestConstants constants;
  const Bytes frame = build_packet({{"ip", {{"dst", "backend"}}}, {"tcp", {{"flags", "S"}}}},
                                   GetParam(), constants);
  Object& guard = fresh_object(part_under_test(), constants);
  const Bytes bare(frame.begin() + ETH_HLEN, frame.end());
  EXPECT_EQ(guard.run("trap_guard_ip", bare).action, XDP_DROP);
  EXPECT_EQ(guard.counts(2)[TRAP_VERDICT_SLOTS + TRAP_DROP_UNINVITED].packets, 1U);
}

INSTANTIATE_TEST_SUITE_P(Families, GuardLink, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
