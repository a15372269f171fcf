// SPDX-License-Identifier: Apache-2.0
// Is there an attack? Decides for a service with activate = "attack" when TRAP answers its SYNs and
// when the stack does, by their rate and by the share that never completes a handshake. Pure logic:
// totals of counters in, a decision out.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "runtime/kernel/counters.h"

namespace trap::server {

struct ActivationSettings {
  double syns_per_s =
      20000; // more than this is an attack, or a load that TRAP answers at less cost
  double incomplete_percent = 80; // this share without a completed handshake is an attack...
  double floor_syns_per_s = 1000; // ...if there are more than so many SYNs
  double hold_s = 30; // how long all of it must be below half before there is peace again

  bool operator==(const ActivationSettings&) const = default;
};

struct ActivationSample {
  std::uint64_t syns = 0;        // that arrived
  std::uint64_t completions = 0; // ACKs that completed a handshake, TRAP's or the stack's
  std::uint64_t met = 0; // those of them that met a socket of the stack's that waits for one
};

// Counts the ACKs that met a waiting socket as handshakes only as far as the stack opened
// connections meanwhile: an ACK with a wrong number meets it too, and as often as its sender likes.
class LivingHandshakes {
public:
  // Takes totals, a few times a second: of the ACKs of one service, and of the connections that the
  // host has opened. Returns a total that never goes back.
  std::uint64_t count(std::uint64_t met, std::uint64_t opened);

private:
  bool is_known_ = false;
  std::uint64_t met_ = 0, opened_ = 0, total_ = 0;
  std::uint64_t waiting_ = 0, spare_ = 0; // of the last call: the two are not read at one moment
};

// The totals of a service, from its counters by verdict. The same at peace and in an attack: with
// net.ipv4.tcp_syncookies = 2 the stack answers with cookies at peace as well.
ActivationSample activation_sample(const VerdictCounts& counts);

class Activation {
public:
  // `active`: how the service was left by an earlier run.
  explicit Activation(ActivationSettings settings, bool active = false);

  // Other thresholds from the next sample on; what is known is kept.
  void configure(ActivationSettings settings) { settings_ = settings; }

  // Takes totals, a few times a second; true if active() changed. Totals that went back, because
  // counters were cleared, begin anew.
  bool observe(std::uint64_t now_ns, const ActivationSample& totals);

  bool active() const { return active_; }
  const std::string& reason() const {
    return reason_;
  } // of the last change: one phrase for log and status
  double syns_per_s() const { return rate_.syns_per_s; }
  double incomplete_percent() const { return rate_.incomplete_percent; }

private:
  struct Moment {
    std::uint64_t ns = 0;
    ActivationSample totals;
  };
  struct Rate {
    double syns_per_s = 0;
    double judged_syns_per_s = 0; // of SYNs that are old enough to have been answered
    double incomplete_percent = 0;
  };

  const Moment& moment_at(std::uint64_t ns) const;
  Rate measure() const;
  bool exceeds(double factor) const;
  bool change(bool active, std::string reason);

  ActivationSettings settings_;
  bool active_;
  std::string reason_;
  std::deque<Moment> moments_; // the last seconds, oldest first
  Rate rate_;
  std::optional<std::uint64_t> calm_since_ns_;
};

} // namespace trap::server
