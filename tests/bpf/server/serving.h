// SPDX-License-Identifier: Apache-2.0
// Shared by tests of services that serve: trap-server and sockets in one network namespace,
// loopback:82 and loopback:83 of server_rig.cpp, and a client's side of the handshake.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "dataplane/verdict.h"
#include "server/handover.h"
#include "server/maps.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {

constexpr int offering_port = 82;
constexpr int plain_port = 83;
constexpr std::uint32_t serving_isn = 0x01020304;

// In network order.
std::uint32_t read_number(const Bytes& bytes, std::size_t at, int size);

// The SYN-ACK that came back.
struct Answer {
  std::uint32_t seq;
  std::uint32_t ack;
  std::uint32_t window;
  std::map<int, Bytes> options; // bodies by kind

  Answer(const Bytes& frame, int family);
  std::optional<std::uint32_t> tsval() const;
  void set_tsval(std::uint32_t tsval); // of an answer that has one
};

// The parameter is the family.
class Serving : public testing::TestWithParam<int> {
protected:
  void SetUp() override;

  // From loopback:port to a service there.
  Json packet(int port, const Json& tcp) const;
  Bytes build(const Json& json) const { return build_packet(json, GetParam(), constants_); }

  // The name of the one verdict that counted. The frame out goes to *out. The packet comes by
  // itself, or in one poll with the one before it.
  std::string verdict_of(const Json& json, Bytes* out = nullptr);
  std::string verdict_right_behind(const Json& json, Bytes* out = nullptr);
  std::string verdict_of_flags(int port, const std::string& flags);
  // The verdict on a SYN, once what was closed is in TIME_WAIT, or else after a second.
  std::string verdict_of_reopening(int port);

  Answer answer_to(int port, const Json& options, int service_port = offering_port);
  // The ACK that completes the handshake of `answer`, with the client's timestamp back if there is
  // one.
  Json completing(int port, const Answer& answer, const Json& changes = Json::object()) const;

  // Of loopback's services.
  void change_flags(std::uint32_t add, std::uint32_t remove);
  // At peace each SYN costs so much of 100 ms.
  void limit_peace(std::uint32_t token_ns);

  const TestConstants constants_;
  Object* server_ = nullptr;
  trap_handover_words handed_over_ = {}; // in skb->cb of the last packet, of a program of tc
};

Json linux_options();

} // namespace trap::test
