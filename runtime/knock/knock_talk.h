// SPDX-License-Identifier: Apache-2.0
// The course of a knock: the segments on the wire so far, the next one to send, and the outcome. No
// sockets and no clock here.
#pragma once

#include <string>
#include <vector>

#include "runtime/packet/handshake.h"

namespace trap {

// One segment on the wire, and its meaning.
struct KnockStep {
  std::int64_t at_ns = 0;
  bool outgoing = false;
  HandshakeSegment segment;
  std::string meaning;
  // trap-client sent it, changed it or took it up; else this knock did.
  bool by_module = false;
};

enum class KnockOutcome { under_way, redirected, direct, failed };

class KnockTalk {
public:
  KnockTalk(const Endpoint& local, const Endpoint& service, std::uint32_t isn);

  // A segment to send now, after begin(), received() or silence().
  struct Sending {
    HandshakeSegment segment;
    std::optional<trap_ticket> ticket;
  };
  Sending begin();

  // A segment was seen on the wire: an incoming one before any client module, an outgoing one after
  // it.
  void saw(const HandshakeSegment& segment, bool outgoing, std::int64_t at_ns);

  // The stack got a segment, which no client module consumed. Call saw() first for all that came
  // before it.
  std::optional<Sending> received(const HandshakeSegment& segment);

  // Nothing came within a timeout.
  std::optional<Sending> silence();

  // A reset for the host that holds half a connection now.
  std::optional<Sending> farewell() const;

  KnockOutcome outcome() const { return outcome_; }
  bool over() const { return outcome_ != KnockOutcome::under_way; }
  bool by_module() const { return module_acted_; } // a trap-client on this host did the work
  // The service answered only to a SYN without the ticket.
  bool unticketed() const { return unticketed_; }
  // The service's SYN-ACK had CONSENT. Without it, clients follow only next door, or a [[trust]].
  bool consented() const { return consented_; }
  // After a SYN-ACK without OFFER: an ordinary server stays silent, so that silence soon means
  // success.
  bool waits_briefly() const { return stage_ == Stage::acked && !offered_ && !over(); }
  const std::optional<Redirection>& redirection() const { return redirection_; }
  const Endpoint& backend() const { return backend_; } // port 0: none
  std::vector<KnockStep> steps() const;
  // One line that says how it ended, and possible reasons.
  const std::string& verdict() const { return verdict_; }
  const std::vector<std::string>& reasons() const { return reasons_; }

private:
  enum class Stage { greeting, acked, knocking };

  HandshakeSegment segment_to(const Endpoint& to, std::uint8_t flags, std::uint32_t seq,
                              std::uint32_t ack) const;
  Sending syn_to_service();
  Sending syn_to_backend();
  std::optional<Sending> answered(const HandshakeSegment& syn_ack);
  std::optional<Sending> was_reset(const HandshakeSegment& reset);
  std::optional<Sending> follow(const Redirection& redirection, bool experimental);
  std::optional<Sending> succeed(const HandshakeSegment& syn_ack, KnockOutcome outcome,
                                 std::string verdict);
  Sending remembered(Sending sending);
  bool was_sent_here(const HandshakeSegment& segment);
  void was_taken_here(const HandshakeSegment& segment);
  std::optional<Sending> fail(std::string verdict, std::vector<std::string> reasons);

  Endpoint local_, service_, backend_;
  std::uint32_t isn_;
  std::uint32_t peer_isn_ = 0;
  Stage stage_ = Stage::greeting;
  int syns_ = 0; // of this stage
  bool offered_ = false;
  bool sent_accept_ = false;
  bool module_acted_ = false;
  bool module_refused_ = false; // it reset the backend, which did not consent
  bool experimental_ = false;
  bool unticketed_ = false;
  bool consented_ = false;
  std::optional<Redirection> redirection_;
  std::optional<HandshakeSegment> last_syn_ack_;
  KnockOutcome outcome_ = KnockOutcome::under_way;
  std::string verdict_;
  std::vector<std::string> reasons_;
  // Of a step: the segment is on its way to a socket of this host until one takes it up.
  struct Seen {
    KnockStep step;
    bool is_waiting = false;
  };
  std::vector<Seen> seen_;
  std::vector<HandshakeSegment> unseen_; // sent here, and not seen on the wire yet
};

} // namespace trap
