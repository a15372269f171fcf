// SPDX-License-Identifier: Apache-2.0
// Handshakes that TRAP completes for a service and that never become connections: a firewall, a tc
// program or address translation of this host loses them. The service then goes over to the
// answerer that can work: the kernel's cookies, or the stack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/daemon/watch/sampled_networks.h"

namespace trap::server {

// Of a handshake of the daemon's own (self_test.h).
enum class TestResult {
  passed,
  lost_before_tc, // TRAP's tc program did not see it, though the stack answers SYNs on that way
  lost_behind_tc, // it did, and no connection came of it
  lost_socket,    // it did, and the packet came to the stack without the socket it was given
  unanswered,     // nor does the stack answer a SYN on that way
  unknown,        // there is no way to test
};

// Of handshakes of the daemon's own in the name of clients whose handshakes were lost.
struct ClientTests {
  unsigned passed = 0;
  unsigned lost = 0;       // though the stack answers the client's SYN
  unsigned unanswered = 0; // the host drops whatever the client sends: a ban
};

enum class Answerer { own_cookies, kernel_cookies, stack };

// Of a sample of handshakes.
struct SampleCounts {
  std::uint64_t arrived = 0;   // the stack has, or had, the connection
  std::uint64_t lost = 0;      // it never had
  NetworkCounts networks = {}; // of the last minutes
};

// By the cookies that were completed.
struct Samples {
  SampleCounts own = {};
  SampleCounts kernel = {};
};

inline SampleCounts total(const Samples& samples) {
  return {samples.own.arrived + samples.kernel.arrived, samples.own.lost + samples.kernel.lost, {}};
}

// Of one service, since the start.
struct HandoverCounts {
  std::uint64_t handed = 0; // given to the tc program
  std::uint64_t tried = 0;  // seen by the tc program
  std::uint64_t failed = 0; // packets for which XDP failed, as where there is no room for metadata
  Samples samples = {};
  std::uint64_t left = 0;      // SYNs that were left to the stack
  std::uint64_t completed = 0; // handshakes that the stack completed by itself
};

class Shortfall {
public:
  // Once a second. `by` answers the service's clients now.
  void observe(std::uint64_t now_ns, const HandoverCounts& counts, Answerer by);

  // A handshake of the daemon's own, which came by an interface, and which no client can feign: two
  // in a row that were lost are a shortfall.
  void note_test(std::uint64_t now_ns, TestResult result, const std::string& interface);

  // A sample says that handshakes are lost: are they those of clients that this host bans? Until
  // tests in their name were noted, nothing is done about it.
  bool wants_client_tests() const { return suspicion_.has_value(); }
  void note_client_tests(std::uint64_t now_ns, const ClientTests& tests);

  // Goes back to the best answerer, and judges it by fewer handshakes if it had failed. Only
  // handshakes from now on count.
  void retry(const HandoverCounts& counts);

  // The best answerer that is worth trying. Where the kernel's cookies are not to be had, the stack
  // is next.
  Answerer at_best() const { return at_best_; }

  // When the sample last came to differ from the last test, which ought to be repeated then.
  std::uint64_t doubted_ns() const { return doubted_ns_; }

  // The handshakes that were lost, the place, and the cure. Empty: there is no shortfall.
  const std::string& reason() const { return reason_; }

private:
  // Handshakes of one kind, and those of them that got through.
  struct Tally {
    std::uint64_t all = 0;
    std::uint64_t through = 0;
    std::uint64_t since_ns = 0; // 0: not counted yet
  };

  struct Suspicion {
    Tally sample;
    bool lasts = false; // others have had time to arrive
  };

  std::optional<Tally> enough_of(Tally& base, const Tally& now) const;
  void judge_metadata(std::uint64_t now_ns, const HandoverCounts& counts);
  void judge_way_to_tc(std::uint64_t now_ns, const HandoverCounts& counts);
  void judge_sample(std::uint64_t now_ns, Tally& base, const SampleCounts& counts);
  bool is_of_some_clients(const NetworkCounts& networks) const;
  void doubt_test(std::uint64_t now_ns);
  bool lasts(std::uint64_t now_ns);
  void judge_trial(std::uint64_t now_ns, const HandoverCounts& counts);
  void fall(std::uint64_t now_ns, Answerer to, std::string reason);

  // The counts when the present judgements began. A count moves only while its answerer is at work,
  // or a little later, so that none has to wait for another.
  Tally metadata_, way_, own_sample_, kernel_sample_;
  Answerer at_best_ = Answerer::own_cookies;
  std::string reason_;
  bool has_failed_ = false;    // before the last retry
  std::uint64_t retry_ns_ = 0; // when the next attempt is due
  std::uint64_t spare_ns_ = 0; // the sample is not judged before: the stack did no better
  // The stack has yet to do better. Its counts when it began to answer.
  bool is_trial_ = false;
  std::uint64_t trial_ns_ = 0; // 0: it has not begun
  std::uint64_t left_ = 0, completed_ = 0;
  std::optional<Suspicion> suspicion_;
  unsigned lost_tests_ = 0;    // in a row
  bool test_passed_ = false;   // the last one
  std::uint64_t short_ns_ = 0; // the sample was first short then, though the test passed
  std::uint64_t doubted_ns_ = 0;
};

} // namespace trap::server
