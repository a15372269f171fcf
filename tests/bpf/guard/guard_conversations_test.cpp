// SPDX-License-Identifier: Apache-2.0
// Whole conversations through a guard on a router, made at random: two stacks of TCP that lose
// segments, are silent for long, and close or reset at any time, beside an outsider who knows
// addresses and ports and guesses numbers. As long as a connection lives the guard lets its client
// in; a minute after its end it lets nothing in, and counts it no longer.
#include "tests/bpf/guard/elsewhere.h"
#include "tests/support/effort.h"

#include <cstdlib>
#include <random>
#include <vector>

namespace trap::test {
namespace {

constexpr std::uint32_t window = 1 << 20;

struct Segment {
  std::string flags;
  std::uint32_t seq = 0, ack = 0, bytes = 0;

  bool has(char flag) const { return flags.find(flag) != std::string::npos; }
  std::uint32_t end() const { return seq + bytes + (has('F') || has('S') ? 1 : 0); }
};

// One end of a connection, as far as the guard sees it (RFC 9293 3.10.7 and RFC 5961).
struct Stack {
  std::uint32_t isn = 0;
  std::uint32_t next = isn + 1; // that it sends
  std::uint32_t unacknowledged = next;
  std::uint32_t expected = 0;      // that the other end sends next
  bool is_open = false;            // its socket is there
  bool has_closed = false;         // it sent a FIN
  bool was_closed = false;         // and received one
  std::uint64_t challenged_ms = 0; // Linux answers such segments twice a second

  bool is_over() const { return has_closed && was_closed && unacknowledged == next; }

  Segment says(const std::string& flags, std::uint32_t bytes = 0) const {
    return {flags, next, expected, bytes};
  }
};

class GuardConversations : public Elsewhere {
protected:
  // A connection that is open, and its random course.
  void begin(std::uint32_t seed) {
    SetUp();
    random_.seed(seed);
    now_ms_ = 1'000'000;
    silent_s_ = 0;
    history_ = "seed " + std::to_string(seed) + ":";
    client_ = {.isn = client_isn, .expected = service_isn + 1, .is_open = true};
    service_ = {.isn = service_isn, .expected = client_isn + 1, .is_open = true};
    connect();
  }

  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  bool one_in(std::uint32_t cases) { return below(cases) == 0; }

  // What the connection is owed: it lives at both ends, or is half closed, for less than a minute.
  bool lives() const {
    const bool is_closing = client_.has_closed || service_.has_closed;
    return client_.is_open && service_.is_open && (!is_closing || silent_s_ < 58);
  }

  void client_sends(const Segment& segment) {
    history_ +=
        " c" + segment.flags + std::to_string(segment.seq) + "+" + std::to_string(segment.bytes);
    if (one_in(12)) {
      history_ += "(lost)";
      return;
    }
    const bool owed = lives();
    const bool passes = arrives(segment.flags, segment.seq, segment.ack, first_port,
                                static_cast<int>(segment.bytes));
    EXPECT_TRUE(passes || !owed) << history_;
    if (!service_.has_closed && !client_.has_closed)
      silent_s_ = 0;
    if (passes && !one_in(12))
      service_receives(segment);
  }

  void service_sends(const Segment& segment) {
    history_ += " s" + segment.flags + std::to_string(segment.ack);
    leaves(segment.flags, segment.ack, static_cast<int>(segment.bytes), first_port, segment.seq);
    silent_s_ = 0;
    if (!one_in(12))
      client_receives(segment);
  }

  void challenge() {
    if (now_ms_ - service_.challenged_ms < 500)
      return;
    service_.challenged_ms = now_ms_;
    service_sends(service_.says("A"));
  }

  void service_receives(const Segment& segment) {
    if (!service_.is_open) {
      if (!segment.has('R') && segment.has('A'))
        service_sends({"R", segment.ack, 0, 0});
      return;
    }
    const std::uint32_t ahead = segment.seq - service_.expected;
    if (segment.has('R')) {
      if (ahead == 0)
        service_.is_open = false;
      else if (ahead < window)
        challenge();
      return;
    }
    if (segment.has('S') || !segment.has('A') || segment.ack - service_.unacknowledged > window ||
        (ahead > window && segment.end() - service_.expected > window))
      return challenge();
    if (segment.ack - service_.unacknowledged <= service_.next - service_.unacknowledged)
      service_.unacknowledged = segment.ack;
    else
      return challenge();
    if (ahead != 0) { // a hole, or a repetition
      if (segment.end() != segment.seq)
        service_sends(service_.says("A"));
      return;
    }
    service_.expected = segment.end();
    service_.was_closed = service_.was_closed || segment.has('F');
    if (service_.is_over())
      service_.is_open = false;
    if (segment.has('F') || (segment.bytes > 0 && one_in(2)))
      service_sends(service_.says("A"));
  }

  void client_receives(const Segment& segment) {
    if (!client_.is_open) {
      if (!segment.has('R'))
        client_sends({"R", segment.ack, 0, 0});
      return;
    }
    if (segment.has('R')) {
      client_.is_open = segment.seq != client_.expected;
      return;
    }
    if (segment.ack - client_.unacknowledged <= client_.next - client_.unacknowledged)
      client_.unacknowledged = segment.ack;
    if (segment.seq == client_.expected && segment.end() != segment.seq) {
      client_.expected = segment.end();
      client_.was_closed = client_.was_closed || segment.has('F');
      if (segment.has('F') || one_in(2))
        client_sends(client_.says("A"));
    }
  }

  // From the first byte that was not acknowledged, with the FIN if there was one.
  static Segment repeated(const Stack& stack) {
    const std::uint32_t missing = stack.next - stack.unacknowledged;
    if (missing == 0)
      return stack.says("A");
    return {stack.has_closed ? "FA" : "PA", stack.unacknowledged, stack.expected,
            missing - (stack.has_closed ? 1 : 0)};
  }

  Segment new_data(Stack& stack, const std::string& flags) {
    const std::uint32_t bytes = flags == "A" ? 0 : below(900);
    const Segment segment = stack.says(flags, bytes);
    stack.next = segment.end();
    stack.has_closed = stack.has_closed || segment.has('F');
    return segment;
  }

  // Numbers near the right ones, but none that the service could use.
  void outsider_sends() {
    static const std::vector<std::string> kinds = {"R", "RA", "FA", "A", "PA", "S"};
    const std::string& flags = kinds[below(is_over_ ? 5 : 6)];
    const std::uint32_t seq = one_in(4) ? static_cast<std::uint32_t>(random_())
                                        : service_.expected + 1 + below(window - 1);
    const Segment segment = {flags, seq, service_.next + 0x40000000 + below(0x40000000), 0};
    history_ += " x" + flags + "+" + std::to_string(seq - service_.expected);
    if (seq != service_.expected && arrives(flags, seq, segment.ack) && !is_over_)
      service_receives(segment);
  }

  void be_silent() {
    static constexpr std::uint32_t lengths[] = {1, 2, 5, 30, 61, 70, 600};
    const std::uint32_t seconds = lengths[below(std::size(lengths))];
    if (silent_s_ + seconds > 3000)
      return;
    history_ += " -" + std::to_string(seconds) + "s-";
    wait_s(seconds);
    now_ms_ += seconds * 1000;
    silent_s_ += seconds;
  }

  // Their own retransmissions, until all is acknowledged.
  void settle() {
    for (int i = 0;
         i < 40 && client_.is_open && service_.is_open &&
         (client_.next != client_.unacknowledged || service_.next != service_.unacknowledged);
         i++) {
      now_ms_ += 600;
      if (client_.next != client_.unacknowledged)
        client_sends(repeated(client_));
      if (service_.is_open && service_.next != service_.unacknowledged)
        service_sends(repeated(service_));
    }
  }

  void step() {
    now_ms_ += below(3) * 300;
    switch (below(10)) {
    case 0:
    case 1:
      if (!client_.has_closed)
        client_sends(new_data(client_, "PA"));
      break;
    case 2:
      if (!service_.has_closed)
        service_sends(new_data(service_, "PA"));
      break;
    case 3:
      client_sends(client_.says("A"));
      break;
    case 4:
      settle();
      break;
    case 5:
      be_silent();
      break;
    default:
      for (std::uint32_t i = 1 + below(3); i > 0; i--)
        outsider_sends();
    }
  }

  // One of the ways in which connections end. What has no end at both ends is not over.
  void end() {
    const std::uint32_t way = below(4);
    if (way == 0) { // the client's application died
      if (one_in(2))
        client_sends(new_data(client_, "PA"));
      client_.is_open = false;
      client_sends({"R", client_.next, 0, 0});
    } else if (way == 1) {
      service_.is_open = false;
      service_sends({"RA", service_.next, service_.expected, 0});
    } else {
      Stack& first = way == 2 ? client_ : service_;
      send_from(first, new_data(first, one_in(2) ? "FPA" : "FA"));
      settle();
      Stack& second = way == 2 ? service_ : client_;
      if (second.is_open && !second.has_closed)
        send_from(second, new_data(second, "FA"));
    }
    settle();
  }

  void send_from(const Stack& stack, const Segment& segment) {
    if (&stack == &client_)
      client_sends(segment);
    else
      service_sends(segment);
  }

  void converse(std::uint32_t seed) {
    is_over_ = false;
    begin(seed);
    for (std::uint32_t steps = below(40); steps > 0 && client_.is_open && service_.is_open; steps--)
      step();
    if (HasFailure())
      return;
    if (client_.is_open && service_.is_open)
      end();
    if (service_.is_open || (client_.is_open && !client_.is_over()))
      return; // the last words were lost: not the guard's business
    is_over_ = true;
    ended_++;
    history_ += " over";
    EXPECT_EQ(open(), 0u) << history_;
    for (int i = 0; i < 4; i++) {
      outsider_sends();
      wait_s(16);
    }
    EXPECT_FALSE(arrives("A", client_.next, client_.expected)) << history_;
  }

  std::mt19937 random_;
  Stack client_, service_;
  std::uint64_t now_ms_ = 0;
  std::uint32_t silent_s_ = 0;
  bool is_over_ = false;
  int ended_ = 0;
  std::string history_;
};

TEST_P(GuardConversations, pass_while_they_live_and_are_over_within_a_minute) {
  const char* wanted = std::getenv("TRAP_CONVERSATIONS"); // for a search that takes longer
  const int conversations = wanted ? std::atoi(wanted) : is_thorough() ? 400 : 100;
  for (int seed = 0; seed < conversations && !HasFailure(); seed++)
    converse(static_cast<std::uint32_t>(seed));
  if (!HasFailure())
    EXPECT_GT(ended_, conversations / 2) << "most have an end that the guard could see";
}

INSTANTIATE_TEST_SUITE_P(Families, GuardConversations, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
