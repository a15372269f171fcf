// SPDX-License-Identifier: Apache-2.0
#include "runtime/knock/knock_words.h"

#include <fmt/core.h>

#include "dataplane/segment.h"

namespace trap {
namespace {

const char* name_of_kind(std::uint8_t flags) {
  switch (trap_segment_kind(flags)) {
  case TRAP_SEGMENT_SYN:
    return "SYN";
  case TRAP_SEGMENT_SYN_ACK:
    return "SYN-ACK";
  case TRAP_SEGMENT_ACK:
    return "ACK";
  case TRAP_SEGMENT_RST:
    return "RST";
  default:
    return "segment";
  }
}

const char* name_of_option(trap_option_type type) {
  switch (type) {
  case TRAP_OFFER:
    return " [OFFER]";
  case TRAP_ACCEPT:
    return " [ACCEPT]";
  case TRAP_REDIRECT:
    return " [REDIRECT]";
  case TRAP_TICKET:
    return " [TICKET]";
  case TRAP_ANNOUNCE:
    return " [ANNOUNCE]";
  case TRAP_CONSENT:
    return " [CONSENT]";
  default:
    return "";
  }
}

std::string meaning_of_answer(const HandshakeSegment& segment, bool of_public_address) {
  switch (trap_segment_kind(segment.flags)) {
  case TRAP_SEGMENT_SYN_ACK:
    if (segment.option == TRAP_OFFER)
      return "a TRAP server answers and offers to redirect";
    return of_public_address ? "an answer without an offer: an ordinary server, or a TRAP server "
                               "whose option was removed or is off"
                             : "the service's host lets the connection in";
  case TRAP_SEGMENT_RST:
    if (segment.redirection)
      return fmt::format("the TRAP server redirects to {} for {} s",
                         format_endpoint(segment.redirection->backend),
                         segment.redirection->lifetime_s);
    return of_public_address ? "refused" : "refused by the service's host";
  default:
    return "data of a connection";
  }
}

} // namespace

std::string name_of(const HandshakeSegment& segment) {
  return fmt::format("{}{}{}", name_of_kind(segment.flags), name_of_option(segment.option),
                     segment.bad_option ? " [malformed option]" : "");
}

std::string meaning_of(const HandshakeSegment& segment, bool outgoing, bool of_public_address) {
  if (!outgoing)
    return meaning_of_answer(segment, of_public_address);
  switch (trap_segment_kind(segment.flags)) {
  case TRAP_SEGMENT_SYN:
    if (segment.option == TRAP_TICKET)
      return "to the service's host, with the ticket";
    return of_public_address ? "to the public address"
                             : "to the service's host, without the ticket";
  case TRAP_SEGMENT_ACK:
    return segment.option == TRAP_ACCEPT ? "the handshake is complete; the offer is accepted"
                                         : "the handshake is complete";
  case TRAP_SEGMENT_RST:
    return "the knock is over";
  default:
    return "";
  }
}

std::vector<std::string> reasons_of_syn_silence() {
  return {
      "the address or the port is wrong, or the host is down",
      "a firewall on the way drops the SYN or its answer",
      "the TRAP server's policy denies this client, or its budget of handshakes or SYN-ACKs is "
      "spent: see trapctl top server there",
      "trap-server answers on another interface than the one where the SYN arrives: see trapctl "
      "status server there"};
}

std::vector<std::string> reasons_of_reset() {
  return {"trap-server does not run there, or the service is not in its configuration",
          "with activate = \"attack\" it rests, and nothing listens behind it",
          "a firewall on the way refuses"};
}

std::vector<std::string> reasons_of_ack_silence() {
  return {"a middlebox drops the RST that carries the redirect, or the ACK because of its "
          "option",
          "a middlebox rewrites sequence numbers, so that the cookie does not come back: "
          "drop-bad-cookie counts at the server",
          "SYN and ACK reach TRAP servers with different master keys or clocks: drop-bad-cookie "
          "counts there",
          "no backend is up, or a budget is spent: see trapctl top server there"};
}

std::vector<std::string> reasons_of_bare_reset(bool offered) {
  if (offered)
    return {"a middlebox removes TRAP's option from the reset",
            "no backend of the service is up at the TRAP server"};
  return {"a middlebox removes TRAP's option from SYN-ACK and reset",
          "an ordinary server closed the connection at once"};
}

std::vector<std::string> reasons_of_numbers() {
  return {"a middlebox rewrites sequence numbers",
          "the redirect is forged: a client module ignores it, as this knock does"};
}

std::vector<std::string> reasons_of_target() {
  return {"the backend's address in the TRAP server's configuration is a loopback, link-local or "
          "multicast one, or the service itself"};
}

std::vector<std::string> reasons_of_backend_silence() {
  return {
      "trap-guard there holds the key of another guard or master: drop-ticket-mac counts at the "
      "guard",
      "it has the backend's address in another [[pool]] than the tag: drop-ticket-pool counts "
      "there",
      "its clock differs by minutes: drop-ticket-expired or drop-ticket-epoch counts at the guard",
      "it sees this client at another address than the TRAP server does, as behind address "
      "translation with several addresses",
      "the host is down, nothing listens, or a firewall on the way drops SYNs",
      "announcements do not reach it either: see trap_servers in its configuration"};
}

std::vector<std::string> reasons_of_refusal() {
  return {"the service does not listen at this port of its host", "a firewall there refuses"};
}

std::vector<std::string> reasons_of_module_silence() {
  std::vector<std::string> reasons = {"trapctl redirects shows its redirects; trapctl redirects "
                                      "flush makes it ask the TRAP server again"};
  for (std::string& reason : reasons_of_backend_silence())
    reasons.push_back(std::move(reason));
  return reasons;
}

std::vector<std::string> reasons_of_direct_answer() {
  return {"this is an ordinary server, or one that TRAP protects on its own host",
          "the TRAP server serves clients without the module (unaware = \"serve\") with offer = "
          "false, or rests (activate = \"attack\")",
          "a middlebox removes TRAP's options"};
}

std::string note_on_private_target() {
  return "the service's host has a private address and the public one is not: trap-client follows "
         "only with allow_private_targets";
}

std::string note_on_missing_ticket() {
  return "a middlebox drops SYNs with TRAP's option, or the guard refuses the ticket: "
         "connections wait for two SYNs first";
}

std::vector<std::string> reasons_of_missing_consent() {
  return {"its guard is older than 0.5.0, is in mode monitor and the ticket was wrong, or none is "
          "there",
          "a middlebox removes TCP options: the ticket from the SYN, or CONSENT from the SYN-ACK",
          "the TRAP server names a host that is not its own",
          "a [[trust]] in client.toml that names the target would let the client go there"};
}

std::string note_on_missing_consent() {
  return "the service's answer has no CONSENT: its guard is older than 0.5.0, or none is there, or "
         "a middlebox removes the option. Clients follow this redirect only with the same port in "
         "the /24 or /48 of the public address, or by a [[trust]]";
}

} // namespace trap
