// SPDX-License-Identifier: Apache-2.0
// The table of budgets: every client and network has its own however crowded a network is, who
// makes room loses least, and CPUs share a budget exactly.
#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "dataplane/verdict.h"
#include "protocol/cookie.h"
#include "protocol/keyring.h"
#include "server/budgets.h"
#include "tests/bpf/harness/buckets.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::uint32_t slots_looked_at = 32, client_isn = 77;
constexpr std::uint64_t never_full_ns = ~0ULL / 2;

class Budgets : public testing::TestWithParam<int> {
protected:
  void SetUp() override { server_ = &fresh_object(part_under_test(), constants_); }

  void allow(std::uint64_t of_a_client, std::uint64_t of_a_network) {
    Json rates = Json::object();
    if (of_a_client != 0)
      rates["client_handshakes"] = of_a_client;
    if (of_a_network != 0)
      rates["network_handshakes"] = of_a_network;
    part_under_test().set_rates(*server_, rates);
  }

  // Of one /24 or /48, each a /32 or /64 by itself.
  static std::string client(int number) {
    return GetParam() == 4 ? "192.0.2." + std::to_string(number + 1)
                           : "2001:db8:77:" + std::to_string(number + 1) + "::1";
  }

  // The ACK that completes a handshake.
  Bytes ack_of(const std::string& source) const {
    const auto settings = server_->get<trap_server_settings>("settings", std::uint32_t{0});
    const std::uint64_t unix_ns = constants_.moment("now")["unix_ns"];
    trap_key key{};
    if (!trap_keyring_find(&settings.cookie_keys, trap_epoch(unix_ns), &key))
      throw std::runtime_error("the server has no key of this epoch");
    const trap_connection connection = {constants_.address(source, GetParam()).value,
                                        constants_.address("public", GetParam()).value,
                                        TRAP_BE16(40000),
                                        TRAP_BE16(80),
                                        TRAP_BE32(client_isn),
                                        static_cast<__u32>(GetParam())};
    const std::uint32_t cookie = trap_cookie(&key, &connection, trap_cookie_window(unix_ns));
    return build_packet(
        {{"ip", {{"src", source}}},
         {"tcp", {{"flags", "A"}, {"sport", 40000}, {"seq", client_isn + 1}, {"ack", cookie + 1}}}},
        GetParam(), constants_);
  }

  // Counts answers; a test that meets any other verdict than `refusal` fails.
  std::uint64_t redirects_of(const std::vector<Bytes>& acks, trap_verdict refusal) {
    const auto before = counted();
    for (const Bytes& ack : acks)
      server_->run(part_under_test().programs[0], ack);
    const auto after = counted();
    const std::uint64_t redirects = after[TRAP_REPLY_REDIRECT] - before[TRAP_REPLY_REDIRECT];
    EXPECT_EQ(after[refusal] - before[refusal], acks.size() - redirects);
    return redirects;
  }

  std::vector<std::uint64_t> counted() const {
    std::vector<std::uint64_t> sums(TRAP_VERDICT_SLOTS);
    const auto counts = server_->counts(slots_looked_at);
    for (std::size_t i = 0; i < counts.size(); i++)
      sums[i % TRAP_VERDICT_SLOTS] += counts[i].packets;
    return sums;
  }

  std::vector<Bytes> acks_of_clients(int count) const {
    std::vector<Bytes> acks;
    acks.reserve(static_cast<std::size_t>(count));
    for (int number = 0; number < count; number++)
      acks.push_back(ack_of(client(number)));
    return acks;
  }

  std::uint64_t word(const std::string& source, std::uint32_t bits) const {
    const trap_address address = constants_.address(source, GetParam()).value;
    return trap_budget_of(&address, static_cast<__u32>(GetParam()), bits);
  }

  std::uint32_t row_of(std::uint64_t of) const {
    const auto settings = server_->get<trap_server_settings>("settings", std::uint32_t{0});
    return trap_budget_row_of(of, &settings.selector_key);
  }

  // Fills a row with strangers whose budgets are used up for ever, each a little less.
  static void occupy(trap_budget_row& row, std::uint64_t first) {
    for (std::uint32_t i = 0; i < TRAP_BUDGET_WAYS; i++)
      row.entries[i] = {.of = first + i,
                        .budget = {.bucket = {.full_at_ns = never_full_ns - i}, .handshakes = 9},
                        .reserved = 0};
  }

  static std::set<std::uint64_t> owners(const trap_budget_row& row) {
    std::set<std::uint64_t> all;
    for (const trap_budget_entry& entry : row.entries)
      all.insert(entry.of);
    return all;
  }

  const TestConstants constants_;
  Object* server_ = nullptr;
};

TEST_P(Budgets, of_every_client_in_a_crowded_network_are_its_own) {
  constexpr int clients = 250;
  allow(2, 0);
  const auto acks = acks_of_clients(clients);
  EXPECT_EQ(redirects_of(acks, TRAP_DROP_CLIENT_BUDGET), 250U);
  EXPECT_EQ(redirects_of(acks, TRAP_DROP_CLIENT_BUDGET), 250U);
  EXPECT_EQ(redirects_of(acks, TRAP_DROP_CLIENT_BUDGET), 0U);
}

TEST_P(Budgets, of_a_crowded_network_are_one) {
  allow(0, 10);
  EXPECT_EQ(redirects_of(acks_of_clients(250), TRAP_DROP_NETWORK_BUDGET), 10U);
  allow(1, 10);
  EXPECT_EQ(redirects_of({ack_of("elsewhere"), ack_of("elsewhere")}, TRAP_DROP_CLIENT_BUDGET), 1U);
}

TEST_P(Budgets, make_room_where_least_is_lost) {
  Buckets<trap_budget_row> rows(server_->map_fd("clients"), TRAP_BUDGET_ROWS);
  const std::uint64_t network = word(client(0), GetParam() == 4 ? 24 : 48);
  const std::uint64_t own = word(client(0), GetParam() == 4 ? 32 : 64);
  trap_budget_row& shared_row = rows[row_of(network)];
  trap_budget_row& own_row = rows[row_of(own)];
  ASSERT_NE(&shared_row, &own_row);
  allow(1, 0);

  // Nobody near the network can spare its place; near the client one is full again.
  occupy(shared_row, 1000);
  occupy(own_row, 2000);
  own_row.entries[1].budget.bucket.full_at_ns = 1;
  const auto shared_before = owners(shared_row);
  EXPECT_EQ(redirects_of({ack_of(client(0)), ack_of(client(0))}, TRAP_DROP_CLIENT_BUDGET), 1U);
  EXPECT_EQ(owners(shared_row), shared_before);
  EXPECT_EQ(owners(own_row), (std::set<std::uint64_t>{2000, own, 2002, 2003}));

  // Beside the network one is full again: the client goes there.
  occupy(shared_row, 1000);
  occupy(own_row, 2000);
  shared_row.entries[2].budget.bucket.full_at_ns = 1;
  EXPECT_EQ(redirects_of({ack_of(client(0)), ack_of(client(0))}, TRAP_DROP_CLIENT_BUDGET), 1U);
  EXPECT_EQ(owners(shared_row), (std::set<std::uint64_t>{1000, 1001, own, 1003}));
  EXPECT_EQ(owners(own_row), (std::set<std::uint64_t>{2000, 2001, 2002, 2003}));

  // Everybody's budget is used up: he who has saved up most goes, and the client is not refused.
  occupy(shared_row, 1000);
  occupy(own_row, 2000);
  EXPECT_EQ(redirects_of({ack_of(client(0)), ack_of(client(0))}, TRAP_DROP_CLIENT_BUDGET), 1U);
  EXPECT_EQ(owners(own_row), (std::set<std::uint64_t>{2000, 2001, 2002, own}));
}

TEST_P(Budgets, are_shared_by_cpus_to_the_last_handshake) {
  constexpr int each = 5000;
  allow(2000, 0);
  const Bytes ack = ack_of(client(0));
  const auto before = counted();
  server_->run(part_under_test().programs[0], ack); // its place is made
  const auto send_all = [&] {
    for (int sent = 0; sent < each; sent++)
      server_->run(part_under_test().programs[0], ack);
  };
  std::thread other(send_all);
  send_all();
  other.join();
  const auto after = counted();
  EXPECT_EQ(after[TRAP_REPLY_REDIRECT] - before[TRAP_REPLY_REDIRECT], 2000U);
  EXPECT_EQ(after[TRAP_DROP_CLIENT_BUDGET] - before[TRAP_DROP_CLIENT_BUDGET], 2 * each + 1 - 2000U);
}

INSTANTIATE_TEST_SUITE_P(Families, Budgets, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
