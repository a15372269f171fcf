// SPDX-License-Identifier: Apache-2.0
#include "runtime/knock/knock_talk.h"

#include <algorithm>

#include <fmt/core.h>

#include "dataplane/segment.h"
#include "runtime/knock/knock_words.h"

namespace trap {
namespace {

constexpr int syns_to_service = 3;
constexpr int syns_through_module =
    5; // it tries with the ticket, without, and by the TRAP server again
constexpr int syns_ticketed = 2;
constexpr int syns_to_backend = 3;

} // namespace

KnockTalk::KnockTalk(const Endpoint& local, const Endpoint& service, std::uint32_t isn)
    : local_(local), service_(service), isn_(isn) {}

HandshakeSegment KnockTalk::segment_to(const Endpoint& to, std::uint8_t flags, std::uint32_t seq,
                                       std::uint32_t ack) const {
  return {.from = local_, .to = to, .flags = flags, .seq = seq, .ack = ack};
}

KnockTalk::Sending KnockTalk::begin() {
  return syn_to_service();
}

KnockTalk::Sending KnockTalk::remembered(Sending sending) {
  unseen_.push_back(sending.segment);
  return sending;
}

// Did this knock send it as it is? A module leads a SYN elsewhere: that one comes no more.
bool KnockTalk::was_sent_here(const HandshakeSegment& segment) {
  const auto is_it = [&](const HandshakeSegment& sent) {
    return sent.to == segment.to && sent.flags == segment.flags && sent.option == segment.option;
  };
  const auto led_away = [&](const HandshakeSegment& sent) {
    return segment.flags == TRAP_TCP_SYN && sent.flags == TRAP_TCP_SYN;
  };
  const auto found = std::ranges::find_if(unseen_, is_it);
  if (found != unseen_.end()) {
    unseen_.erase(found);
    return true;
  }
  if (const auto other = std::ranges::find_if(unseen_, led_away); other != unseen_.end())
    unseen_.erase(other);
  return false;
}

// A module takes up what does not get here, or gives it another source.
void KnockTalk::was_taken_here(const HandshakeSegment& segment) {
  const auto taken = std::find_if(seen_.rbegin(), seen_.rend(), [&](const Seen& seen) {
    const HandshakeSegment& was = seen.step.segment;
    return seen.is_waiting && was.flags == segment.flags && was.seq == segment.seq &&
           was.ack == segment.ack;
  });
  if (taken == seen_.rend())
    return;
  taken->is_waiting = false;
  taken->step.by_module = taken->step.segment.from != segment.from;
}

std::vector<KnockStep> KnockTalk::steps() const {
  std::vector<KnockStep> steps;
  for (const Seen& seen : seen_) {
    steps.push_back(seen.step);
    steps.back().by_module |= seen.is_waiting && module_acted_;
  }
  return steps;
}

KnockTalk::Sending KnockTalk::syn_to_service() {
  syns_++;
  return remembered({segment_to(service_, TRAP_TCP_SYN, isn_, 0), {}});
}

KnockTalk::Sending KnockTalk::syn_to_backend() {
  syns_++;
  Sending sending = {segment_to(backend_, TRAP_TCP_SYN, isn_, 0), {}};
  if (syns_ <= syns_ticketed) {
    sending.segment.option = TRAP_TICKET;
    sending.segment.experimental = experimental_;
    sending.ticket = redirection_->ticket;
  }
  return remembered(std::move(sending));
}

void KnockTalk::saw(const HandshakeSegment& segment, bool outgoing, std::int64_t at_ns) {
  const bool ours = segment.to == service_ ||
                    (backend_.port != 0 && segment.to == backend_ && stage_ == Stage::knocking);
  if (outgoing && ((segment.option == TRAP_ACCEPT && !sent_accept_) ||
                   (segment.flags == TRAP_TCP_SYN && !ours))) {
    module_acted_ = true;
    if (segment.flags == TRAP_TCP_SYN)
      backend_ = segment.to;
  }
  if (outgoing && module_acted_ && segment.to == backend_ && segment.flags == TRAP_TCP_RST)
    module_refused_ = true;
  if (!outgoing && backend_.port != 0 && segment.from == backend_ && segment.option == TRAP_CONSENT)
    consented_ = true;
  if (!outgoing && module_acted_ && segment.redirection)
    redirection_ = segment.redirection;
  if (outgoing && module_acted_ && segment.flags == TRAP_TCP_SYN && segment.to == backend_)
    unticketed_ = segment.option != TRAP_TICKET;
  KnockStep step = {
      .at_ns = at_ns,
      .outgoing = outgoing,
      .segment = segment,
      .meaning = meaning_of(segment, outgoing, segment.from == service_ || segment.to == service_),
      .by_module = outgoing && !was_sent_here(segment)};
  if (step.by_module && segment.flags == TRAP_TCP_RST)
    step.meaning = "the service's host did not consent";
  seen_.push_back({.step = std::move(step), .is_waiting = !outgoing});
}

std::optional<KnockTalk::Sending> KnockTalk::received(const HandshakeSegment& segment) {
  was_taken_here(segment);
  const Endpoint& expected = stage_ == Stage::knocking ? backend_ : service_;
  if (over() || segment.from != expected || segment.to != local_)
    return std::nullopt;
  switch (trap_segment_kind(segment.flags)) {
  case TRAP_SEGMENT_SYN_ACK:
    return segment.ack == isn_ + 1 ? answered(segment) : std::nullopt;
  case TRAP_SEGMENT_RST:
    return was_reset(segment);
  default:
    return std::nullopt;
  }
}

std::optional<KnockTalk::Sending> KnockTalk::answered(const HandshakeSegment& syn_ack) {
  if (module_refused_)
    return succeed(syn_ack, KnockOutcome::direct,
                   fmt::format("trap-client refused the service at {}, which did not consent; the "
                               "TRAP server serves the connection",
                               format_endpoint(backend_)));
  if (stage_ == Stage::knocking) {
    unticketed_ = syns_ > syns_ticketed;
    consented_ = syn_ack.option == TRAP_CONSENT;
    return succeed(syn_ack, KnockOutcome::redirected,
                   fmt::format("the service answers at {}{}", format_endpoint(backend_),
                               unticketed_ ? ", without the ticket only" : ""));
  }
  if (module_acted_ && backend_.port != 0)
    return succeed(syn_ack, KnockOutcome::redirected,
                   fmt::format("trap-client redirected the connection to the service at {}",
                               format_endpoint(backend_)));
  stage_ = Stage::acked;
  peer_isn_ = syn_ack.seq;
  last_syn_ack_ = syn_ack;
  offered_ = syn_ack.option == TRAP_OFFER;
  Sending ack = {segment_to(service_, TRAP_TCP_ACK, isn_ + 1, peer_isn_ + 1), {}};
  if (offered_) {
    sent_accept_ = true;
    ack.segment.option = TRAP_ACCEPT;
    ack.segment.experimental = syn_ack.experimental;
  }
  return remembered(std::move(ack));
}

std::optional<KnockTalk::Sending> KnockTalk::was_reset(const HandshakeSegment& reset) {
  if (stage_ == Stage::knocking)
    return fail(
        fmt::format("the service's host refuses the connection to {}", format_endpoint(backend_)),
        reasons_of_refusal());
  if (module_refused_)
    return fail(fmt::format("trap-client refused the service at {}, which did not consent, and the "
                            "TRAP server resets",
                            format_endpoint(backend_)),
                reasons_of_missing_consent());
  if (stage_ == Stage::greeting)
    return reset.ack == isn_ + 1
               ? fail("the address refuses the connection: no TRAP server answers there",
                      reasons_of_reset())
               : std::nullopt;
  if (reset.redirection && reset.seq == peer_isn_ + 1 && reset.ack == isn_ + 1)
    return follow(*reset.redirection, reset.experimental);
  if (reset.redirection)
    return fail("the sequence numbers of a redirect do not fit the handshake",
                reasons_of_numbers());
  return fail("a reset came without a redirect", reasons_of_bare_reset(offered_));
}

std::optional<KnockTalk::Sending> KnockTalk::follow(const Redirection& redirection,
                                                    bool experimental) {
  redirection_ = redirection;
  const trap_family family = family_of(service_.address);
  if (redirection.backend.port == 0 || redirection.backend == service_ ||
      trap_address_is_forbidden(&redirection.backend.address, family))
    return fail(fmt::format("the redirect names {}, which no client may follow",
                            format_endpoint(redirection.backend)),
                reasons_of_target());
  backend_ = redirection.backend;
  experimental_ = experimental;
  if (trap_address_is_private(&backend_.address, family) &&
      !trap_address_is_private(&service_.address, family))
    reasons_.push_back(note_on_private_target());
  stage_ = Stage::knocking;
  syns_ = 0;
  return syn_to_backend();
}

std::optional<KnockTalk::Sending> KnockTalk::silence() {
  if (over())
    return std::nullopt;
  if (stage_ == Stage::greeting) {
    if (syns_ < (module_acted_ ? syns_through_module : syns_to_service))
      return syn_to_service();
    return module_acted_
               ? fail("trap-client could not reach the service", reasons_of_module_silence())
               : fail("no answer to the SYN", reasons_of_syn_silence());
  }
  if (stage_ == Stage::acked) {
    if (offered_)
      return fail("the TRAP server made an offer, but does not answer the ACK",
                  reasons_of_ack_silence());
    return succeed(*last_syn_ack_, KnockOutcome::direct,
                   "an answer without TRAP's option, and no reset: nothing was redirected");
  }
  if (syns_ < syns_to_backend)
    return syn_to_backend();
  return fail(fmt::format("the service at {} answers neither with the ticket nor without",
                          format_endpoint(backend_)),
              reasons_of_backend_silence());
}

std::optional<KnockTalk::Sending> KnockTalk::succeed(const HandshakeSegment& syn_ack,
                                                     KnockOutcome outcome, std::string verdict) {
  last_syn_ack_ = syn_ack;
  outcome_ = outcome;
  verdict_ = std::move(verdict);
  if (module_refused_)
    reasons_ = reasons_of_missing_consent();
  else if (outcome == KnockOutcome::direct)
    reasons_ = reasons_of_direct_answer();
  else if (unticketed_)
    reasons_.push_back(note_on_missing_ticket());
  if (outcome == KnockOutcome::redirected && !consented_)
    reasons_.push_back(note_on_missing_consent());
  return std::nullopt;
}

std::optional<KnockTalk::Sending> KnockTalk::fail(std::string verdict,
                                                  std::vector<std::string> reasons) {
  outcome_ = KnockOutcome::failed;
  verdict_ = std::move(verdict);
  reasons_.insert(reasons_.end(), reasons.begin(), reasons.end());
  return std::nullopt;
}

// The host that sent a SYN-ACK keeps half a connection. A client module translates packets to the
// service's address.
std::optional<KnockTalk::Sending> KnockTalk::farewell() const {
  if (!last_syn_ack_ || outcome_ == KnockOutcome::failed)
    return std::nullopt;
  return Sending{segment_to(last_syn_ack_->from, TRAP_TCP_RST, isn_ + 1, 0), {}};
}

} // namespace trap
