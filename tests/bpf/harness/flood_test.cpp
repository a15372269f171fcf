// SPDX-License-Identifier: Apache-2.0
// No state before a proof: a hundred thousand distinct SYNs, ACKs, RSTs and FINs, or a million
// (tests/support/effort.h; a tenth of them where the server's program stands at tc, which is the
// same source), leave every map but `counters`, what caps keep for themselves, a fixed number of
// `senders`, and what the client notes of the packet at hand, byte for byte as it was.
#include <gtest/gtest.h>

#include <bpf/bpf.h>

#include <cstring>

#include "bench/bpf/replay.h"
#include "dataplane/verdict.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/effort.h"
#include "tests/support/packet.h"
#include "trap_replay.skel.h"

namespace trap::test {
namespace {

constexpr int many = 100'000, a_million = 1'000'000;
constexpr int chunk = 10'000;
constexpr std::uint32_t all_slots = 1024; // more than any part has

class Flood : public testing::Test {
protected:
  void SetUp() override {
    replay_ = object_of(Program<::trap_replay>::load());
    tested_ = &fresh_object(part_under_test(), constants_, false, false);
    const std::string& program = part_under_test().programs[0];
    packets_of_each_kind_ = is_thorough() ? a_million : many;
    if (program == "trap_server_tc")
      packets_of_each_kind_ /= 10;
  }

  // A frame with zeros where the replay program puts its own values, and checksums that are right
  // for the zeros.
  Bytes frame(const std::string& flags, int family, int port) {
    const Json ip = {{"src", family == 4 ? "0.0.0.0" : "::"}, {"dst", destination()}};
    return build_packet({{"ip", ip}, {"tcp", {{"flags", flags}, {"sport", 0}, {"dport", port}}}},
                        family, constants_);
  }

  static std::string destination() {
    const std::string& part = part_under_test().part;
    return part == "server" ? "public" : part == "guard" ? "backend" : "client";
  }

  void send(const std::string& program, const Bytes& bytes, int family, int count) {
    trap_replay_order content = {};
    ASSERT_LE(bytes.size(), sizeof content.words);
    std::memcpy(content.words, bytes.data(), bytes.size());
    content.number = sent_;
    content.bytes = static_cast<__u32>(bytes.size());
    content.vary = TRAP_REPLAY_SOURCES;
    content.l3_offset = 14;
    content.l4_offset = family == 4 ? 34 : 54;
    content.family = static_cast<__u32>(family);
    replay_->put("replays", std::uint32_t{0}, content);
    const bool xdp = tested_->is_xdp(program);
    replay_->put(xdp ? "xdp_target" : "tc_target", std::uint32_t{0},
                 static_cast<std::uint32_t>(tested_->program_fd(program)));
    replay_->run(xdp ? "replay_xdp" : "replay_tc", bytes, count);
    sent_ += static_cast<std::uint64_t>(count);
  }

  // Packets with these flags, of both families in turn.
  void flood(const std::string& program, const std::string& flags, int port) {
    for (int sent = 0; sent < packets_of_each_kind_; sent += chunk) {
      const int family = sent / chunk % 2 == 0 ? 4 : 6;
      send(program, frame(flags, family, port), family, chunk);
    }
  }

  void fill(const Json& maps) {
    for (const auto& map : maps.items()) {
      for (const int family : {4, 6}) {
        for (const Json& entry : map.value()) {
          const DescribedEntry described = describe_entry(map.key(), entry, family, constants_,
                                                          constants_.moment("now")["unix_s"]);
          tested_->put(map.key(), described.key, described.value);
        }
      }
    }
  }

  std::map<std::string, Bytes> contents() {
    std::map<std::string, Bytes> all;
    for (const std::string& name : tested_->map_names()) {
      if (name != "counters" && name != "caps" && name != "allowances" && name != "peace_caps" &&
          name != "scratch" && name != "senders")
        all[name] =
            tested_->map_type(name) == BPF_MAP_TYPE_RINGBUF ? records(name) : tested_->dump(name);
    }
    return all;
  }

  Bytes records(const std::string& name) {
    Bytes all;
    for (const auto& [number, record] : tested_->raw_entries(name))
      all.insert(all.end(), record.begin(), record.end());
    return all;
  }

  std::uint64_t counted() {
    std::uint64_t sum = 0;
    for (const trap_count& one : tested_->counts(all_slots))
      sum += one.packets;
    return sum;
  }

  const TestConstants constants_;
  std::unique_ptr<Object> replay_;
  Object* tested_ = nullptr;
  int packets_of_each_kind_ = 0;
  std::uint64_t sent_ = 0;
};

// What a program has on a working day, so that there is something to damage.
Json working_day() {
  const std::string& part = part_under_test().part;
  if (part == "guard")
    return Json::parse(
        R"({"announced": [{"client": "client-scope", "port": 80, "scope": "$scope", "in_s": 600}],
      "flows": [{"client": "client", "service": "backend", "client_port": 40000, "service_port": 80}]})");
  if (part == "client")
    return Json::parse(
        R"({"pending": [{"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "isn": 7}],
      "redirects": [{"local": "client", "service": "public", "port": 80, "backend": "backend", "backend_port": 80, "in_s": 600}],
      "to_public": [{"local": "client", "remote": "backend", "local_port": 40000, "remote_port": 80, "service": "public", "port": 80}]})");
  return Json::object();
}

// The server's services that reset and that serve; elsewhere one port.
std::vector<int> flooded_ports() {
  return part_under_test().part == "server" ? std::vector{80, 82} : std::vector{80};
}

TEST_F(Flood, leaves_every_map_as_it_was) {
  fill(working_day());
  if (part_under_test()
          .set_rates) // budgets and caps that allow all of it, and have to be looked at
    part_under_test().set_rates(*tested_, {{"syn_acks", 2'500'000},
                                           {"resets", 1},
                                           {"client_handshakes", 1},
                                           {"network_handshakes", 1}});
  const auto before = contents();
  ASSERT_EQ(counted(), 0u);
  std::uint64_t expected = 0;
  for (const std::string& program : part_under_test().programs) {
    for (const std::string flags : {"S", "A", "R", "FA"}) {
      if (program == "trap_client_egress" && flags == "S")
        continue; // the host's own SYNs are no flood: they are remembered
      for (const int port : flooded_ports()) {
        flood(program, flags, port);
        expected += static_cast<std::uint64_t>(packets_of_each_kind_);
      }
    }
  }
  EXPECT_EQ(counted(), expected) << "not every packet was judged once";
  const auto after = contents();
  for (const auto& [name, bytes] : before)
    EXPECT_TRUE(bytes == after.at(name)) << "map " << name << " changed";
}

} // namespace
} // namespace trap::test
