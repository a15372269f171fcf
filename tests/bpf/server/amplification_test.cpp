// SPDX-License-Identifier: Apache-2.0
// trap-server is no amplifier (docs/adr/0001-never-larger.md): whatever packet any fixture of any
// part describes, sent to services of every sort, gets no answer that is longer than it by more
// than the OFFER, or the REDIRECT once a cookie was right. And the counters' bytes are those that
// went in and out.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>

#include "tests/bpf/harness/fixture.h"
#include "tests/support/effort.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint32_t all_slots = 32;
constexpr std::uint8_t rst = 0x04;

std::size_t read_16(const Bytes& frame, std::size_t at) {
  return std::size_t{frame.at(at)} << 8 | frame.at(at + 1);
}

std::size_t ip_offset(const Bytes& frame) {
  std::size_t at = 12;
  for (int tags = 0; tags < 2 && at + 6 <= frame.size() &&
                     (read_16(frame, at) == 0x8100 || read_16(frame, at) == 0x88a8);
       tags++)
    at += 4;
  return at + 2;
}

// Link layer and IP packet, by the IP header's account if it can be one of TCP; else all there is.
std::size_t account_of(const Bytes& frame) {
  const std::size_t ip = ip_offset(frame);
  if (ip > frame.size())
    return frame.size();
  const std::size_t type = read_16(frame, ip - 2);
  if (type == 0x0800 && ip + 20 <= frame.size() && frame[ip + 9] == 6) {
    const std::size_t header_bytes = frame[ip] % 16 * std::size_t{4};
    const std::size_t total_bytes = read_16(frame, ip + 2);
    return frame[ip] / 16 == 4 && header_bytes >= 20 && total_bytes >= header_bytes
               ? ip + total_bytes
               : frame.size();
  }
  static constexpr std::uint8_t followed[] = {0, 6, 43, 44, 51, 60};
  if (type == 0x86dd && ip + 40 <= frame.size() && std::ranges::count(followed, frame[ip + 6]) != 0)
    return ip + 40 + read_16(frame, ip + 4);
  return frame.size();
}

// How much longer than its request this answer may be.
std::size_t allowance(const Bytes& answer, int family, bool experimental) {
  const std::size_t tcp = ip_offset(answer) + (family == 4 ? 20 : 40);
  if ((answer.at(tcp + 13) & rst) != 0)
    return (family == 4 ? 24 : 36) + (experimental ? 4 : 0);
  const std::size_t offer_bytes = experimental ? 8 : 4;
  const bool offers = answer.size() >= tcp + 20 + offer_bytes &&
                      answer[answer.size() - offer_bytes] == (experimental ? 253 : 0x56);
  return offers ? offer_bytes : 0;
}

struct Totals {
  std::uint64_t packets = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  auto operator<=>(const Totals&) const = default;
};

class Amplification : public testing::TestWithParam<bool> {
protected:
  void SetUp() override { server_ = &fresh_object(part_under_test(), constants_, GetParam()); }

  Totals counted() const {
    Totals totals;
    for (const trap_count& count : server_->counts(all_slots)) {
      totals.packets += count.packets;
      totals.bytes_in += count.bytes_in;
      totals.bytes_out += count.bytes_out;
    }
    return totals;
  }

  // Returns what is wrong.
  std::string send(const Bytes& request, int family) {
    if (!server_->takes(part_under_test().programs[0], request))
      return "";
    const Outcome outcome = server_->run(part_under_test().programs[0], request);
    const std::size_t account = account_of(request);
    sent_.packets++;
    sent_.bytes_in += account;
    if (!server_->is_answer(part_under_test().programs[0], outcome))
      return "";
    answers_++;
    sent_.bytes_out += outcome.frame.size();
    if (outcome.frame.size() > account + allowance(outcome.frame, family, GetParam()))
      return std::to_string(account) + " bytes got " + std::to_string(outcome.frame.size()) +
             ":\n " + to_hex(request) + "\n " + to_hex(outcome.frame);
    return "";
  }

  // The packet as it is, and to services of other sorts: to each, or to one of them in turn.
  void send_variants(const Json& packet, int family, const std::string& fixture) {
    EXPECT_EQ(send(build_packet(packet, family, constants_), family), "") << fixture;
    if (!packet.contains("tcp") || packet.contains("hex"))
      return;
    Json other = packet;
    other["ip"]["dst"] = "public";
    static constexpr int ports[] = {80, 82, 83, 85, 88};
    for (const int port : ports) {
      if (!is_thorough() && port != ports[variants_ % std::size(ports)])
        continue;
      other["tcp"]["dport"] = port;
      EXPECT_EQ(send(build_packet(other, family, constants_), family), "")
          << fixture << " to port " << port;
    }
    variants_++;
  }

  void send_fixture(const Fixture& fixture) {
    for (const Variables& variables : expand(fixture.json.value("for_each", Json::object()))) {
      const Json json = substitute(fixture.json, variables);
      const auto family = variables.find("family");
      const int family_number =
          family != variables.end() ? family->second.get<int>() : json.value("family", 4);
      for (const Json& step : json.value("steps", Json::array({json})))
        send_variants(step.at("packet"), family_number, fixture.name);
    }
  }

  const TestConstants constants_;
  Object* server_ = nullptr;
  Totals sent_;
  std::uint64_t answers_ = 0;
  std::size_t variants_ = 0;
};

TEST_P(Amplification, no_answer_is_longer_than_its_request_by_more_than_it_may_be) {
  std::vector<const char*> parts{"server"};
  if (server_->is_xdp(part_under_test().programs[0])) // at tc too they would take as long again
    parts.insert(parts.end(), {"guard", "client"});
  for (const char* const part : parts) {
    for (const Fixture& fixture : read_fixtures(std::string(TRAP_TEST_FIXTURES) + "/" + part)) {
      ASSERT_NO_THROW(send_fixture(fixture)) << fixture.name;
      const Totals now = counted();
      ASSERT_EQ(now.packets, sent_.packets) << fixture.name;
      ASSERT_EQ(now.bytes_in, sent_.bytes_in) << fixture.name;
      ASSERT_EQ(now.bytes_out, sent_.bytes_out) << fixture.name;
    }
  }
  EXPECT_GT(answers_, 1000u);
}

INSTANTIATE_TEST_SUITE_P(Encodings, Amplification, testing::Bool(), [](const auto& encoding) {
  return encoding.param ? "experimental" : "reserved_kind";
});

} // namespace
} // namespace trap::test
