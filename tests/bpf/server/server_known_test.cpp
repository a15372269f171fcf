// SPDX-License-Identifier: Apache-2.0
// The filter of known connections: what it spares the stack, whose bits the program sets, and when
// nothing is said by a bit that is missing.
#include "tests/bpf/server/serving.h"

namespace trap::test {
namespace {

class KnownFilter : public Serving {
protected:
  void SetUp() override {
    Serving::SetUp();
    trust_known(*server_);
  }

  trap_address own_address() const { return constants_.address("here", GetParam()).value; }

  __u64 hash_of(int port, int service_port = offering_port) const {
    const trap_address client = own_address();
    return trap_connection_hash(&client, TRAP_BE16(port), TRAP_BE16(service_port));
  }

  // 0: no bit, 1 and 2: in the first or second generation, 3: in both.
  int generations_of(int port) const {
    const __u64 hash = hash_of(port);
    const auto word = server_->get<trap_connection_filter>("connection_filter",
                                                           trap_connection_filter_word(hash));
    return ((word.bits[0] & trap_connection_filter_bit(hash)) != 0 ? 1 : 0) +
           ((word.bits[1] & trap_connection_filter_bit(hash)) != 0 ? 2 : 0);
  }

  void set_bit(int port, unsigned generation) {
    const __u64 hash = hash_of(port);
    trap_connection_filter word = {};
    word.bits[generation] = trap_connection_filter_bit(hash);
    server_->put("connection_filter", trap_connection_filter_word(hash), word);
  }

  void forget(int port) {
    server_->put("connection_filter", trap_connection_filter_word(hash_of(port)),
                 trap_connection_filter{});
  }

  void change_settings(const std::function<void(trap_server_settings&)>& change) {
    const std::uint32_t zero = 0;
    auto settings = server_->get<trap_server_settings>("settings", zero);
    change(settings);
    server_->put("settings", zero, settings);
  }

  // Neither the program nor anybody else has seen it before.
  void connect() {
    listener_.emplace(listen_on(GetParam(), offering_port));
    client_.emplace(connect_from(GetParam(), 40000, offering_port));
    accepted_.emplace(accept_from(*listener_));
  }

  std::optional<Socket> listener_, client_, accepted_;
};

TEST_P(KnownFilter, without_a_bit_the_stack_is_not_asked_about_ack_and_fin) {
  connect();
  for (const char* const flags : {"A", "PA"})
    EXPECT_EQ(verdict_of_flags(40000, flags), "drop-bad-cookie") << flags;
  EXPECT_EQ(verdict_of_flags(40000, "FA"), "drop-fin");
  EXPECT_EQ(generations_of(40000), 0);
}

TEST_P(KnownFilter, a_bit_of_either_generation_lets_the_stack_be_asked) {
  connect();
  for (const unsigned generation : {0U, 1U}) {
    set_bit(40000, generation);
    EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-socket") << generation;
    set_bit(40000, generation);
    EXPECT_EQ(verdict_of_flags(40000, "FA"), "pass-socket") << generation;
  }
  set_bit(40001, 0);
  EXPECT_EQ(verdict_of_flags(40001, "A"), "drop-bad-cookie") << "a bit alone admits nobody";
}

TEST_P(KnownFilter, answers_to_a_syn_of_this_host_are_always_asked_about) {
  connect();
  for (const char* const flags : {"SA", "R", "RA", ""}) {
    forget(40000);
    EXPECT_EQ(verdict_of_flags(40000, flags), "pass-socket") << flags;
    EXPECT_EQ(generations_of(40000), 1) << flags;
    EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-socket") << flags;
  }
}

TEST_P(KnownFilter, without_trust_every_segment_is_asked_about_and_leaves_its_bit) {
  connect();
  change_settings([](trap_server_settings& settings) {
    settings.connection_filter_until_ns = coarse_ns();
    settings.connection_filter_generation = 1;
  });
  EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-socket");
  EXPECT_EQ(generations_of(40000), 2) << "in the generation that is written";
  EXPECT_EQ(verdict_of_flags(40001, "A"), "drop-bad-cookie");
  EXPECT_EQ(generations_of(40001), 0);
}

TEST_P(KnownFilter, at_peace_every_segment_is_asked_about) {
  connect();
  change_flags(TRAP_SERVICE_RESTS, 0);
  EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-socket");
}

TEST_P(KnownFilter, who_completes_a_handshake_is_known_and_nobody_else) {
  for (const std::uint32_t generation : {0U, 1U}) {
    const int port = 40000 + static_cast<int>(generation);
    change_settings([=](trap_server_settings& settings) {
      settings.connection_filter_generation = generation;
    });
    const Answer answer = answer_to(port, linux_options());
    EXPECT_EQ(verdict_of(completing(port, answer)), "drop-no-listener");
    EXPECT_EQ(generations_of(port), 0);
    const Socket listener = listen_on(GetParam(), offering_port);
    EXPECT_EQ(verdict_of(completing(port, answer, {{"ack", answer.seq + 9}})), "drop-bad-cookie");
    EXPECT_EQ(verdict_of(completing(port, answer, {{"options", {{{"accept", 0}}}}})),
              "reply-redirect");
    EXPECT_EQ(generations_of(port), 0);
    EXPECT_EQ(verdict_of(completing(port, answer)), "pass-cookie");
    EXPECT_EQ(generations_of(port), 1 << generation);
    EXPECT_EQ(verdict_of(completing(port, answer)), "pass-cookie")
        << "again, and now the stack is asked first";
  }
}

TEST_P(KnownFilter, a_half_open_connection_leaves_its_bit) {
  set_tcp_sysctl("tcp_syncookies", 1);
  const Socket listener = listen_on(GetParam(), offering_port, true);
  const Socket client = connect_from(GetParam(), 40000, offering_port);
  set_bit(40000, 1);
  EXPECT_EQ(verdict_of_flags(40000, "A"), "pass-handshake");
  EXPECT_EQ(generations_of(40000), 3);
}

TEST_P(KnownFilter, a_syn_that_may_reopen_a_connection_leaves_its_bit) {
  connect();
  set_bit(40000, 0);
  EXPECT_EQ(verdict_of_flags(40000, "FA"), "pass-socket"); // noted: it closes
  accepted_.reset();
  client_.reset();
  EXPECT_EQ(verdict_of_reopening(40000), "pass-syn-time-wait");
  forget(40000);
  EXPECT_EQ(verdict_of_flags(40000, "S"), "pass-syn-time-wait");
  EXPECT_EQ(generations_of(40000), 1);
}

TEST_P(KnownFilter, a_flood_sets_no_bits) {
  for (const char* const flags : {"S", "A", "PA", "FA", "R", "RA", "SA", "F", "", "SF"})
    verdict_of_flags(40000, flags);
  EXPECT_EQ(generations_of(40000), 0);
}

INSTANTIATE_TEST_SUITE_P(Families, KnownFilter, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
