// SPDX-License-Identifier: Apache-2.0
// A client's side of the handshake with a service that serves, packet by packet.
#include "tests/bpf/server/serving.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "runtime/verdict_text.h"

namespace trap::test {
namespace {

constexpr std::uint32_t watched_slots = 32;

} // namespace

std::uint32_t read_number(const Bytes& bytes, std::size_t at, int size) {
  std::uint32_t value = 0;
  for (int i = 0; i < size; i++)
    value = value << 8 | bytes.at(at + static_cast<std::size_t>(i));
  return value;
}

Answer::Answer(const Bytes& frame, int family) {
  const std::size_t tcp = family == 4 ? 34 : 54;
  seq = read_number(frame, tcp + 4, 4);
  ack = read_number(frame, tcp + 8, 4);
  window = read_number(frame, tcp + 14, 2);
  const std::size_t end = tcp + std::size_t{frame.at(tcp + 12)} / 16 * 4;
  for (std::size_t at = tcp + 20; at < end && frame[at] != 0;) {
    const std::size_t length = frame[at] == 1 ? 1 : frame.at(at + 1);
    if (length > 1)
      options[frame[at]] = Bytes(&frame[at + 2], &frame[at] + length);
    at += length;
  }
}

std::optional<std::uint32_t> Answer::tsval() const {
  const auto found = options.find(TCPOPT_TIMESTAMP);
  return found == options.end() ? std::nullopt : std::optional(read_number(found->second, 0, 4));
}

void Answer::set_tsval(std::uint32_t tsval) {
  Bytes& body = options.at(TCPOPT_TIMESTAMP);
  for (std::size_t i = 0; i < 4; i++)
    body[i] = static_cast<std::uint8_t>(tsval >> (24 - 8 * i));
}

void Serving::SetUp() {
  enter_own_network(); // without what other tests' connections left in TIME_WAIT
  bring_loopback_up();
  set_tcp_sysctl("tcp_syncookies", 2);
  set_tcp_sysctl("tcp_timestamps", 2);
  server_ = &fresh_object(part_under_test(), constants_);
}

Json Serving::packet(int port, const Json& tcp) const {
  Json json = {{"ip", {{"src", "here"}, {"dst", "here"}}},
               {"tcp", {{"sport", port}, {"dport", offering_port}}}};
  json["tcp"].update(tcp);
  return json;
}

std::string Serving::verdict_of(const Json& json, Bytes* out) {
  server_->restore("recent_handovers");
  return verdict_right_behind(json, out);
}

std::string Serving::verdict_right_behind(const Json& json, Bytes* out) {
  const auto before = server_->counts(watched_slots);
  const Outcome outcome = server_->run(part_under_test().programs[0], build(json));
  const auto after = server_->counts(watched_slots);
  std::string counted;
  for (std::size_t i = 0; i < after.size(); i++) {
    if (after[i].packets != before[i].packets)
      counted += verdict_name(static_cast<int>(i % TRAP_VERDICT_SLOTS));
  }
  if (out != nullptr)
    *out = outcome.frame;
  std::ranges::copy(outcome.skb.cb, handed_over_.words);
  return counted;
}

std::string Serving::verdict_of_flags(int port, const std::string& flags) {
  return verdict_of(packet(port, {{"flags", flags}, {"seq", 7}, {"ack", 7}}));
}

std::string Serving::verdict_of_reopening(int port) {
  for (int tries = 0; tries < 100; tries++) {
    if (verdict_of_flags(port, "S") == "pass-syn-time-wait")
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return verdict_of_flags(port, "S");
}

Answer Serving::answer_to(int port, const Json& options, int service_port) {
  Bytes frame;
  const Json syn =
      packet(port, {{"seq", serving_isn}, {"options", options}, {"dport", service_port}});
  const std::string verdict = verdict_of(syn, &frame);
  if (verdict != "reply-syn-ack")
    throw std::runtime_error("the SYN was not answered: " + verdict);
  return {frame, GetParam()};
}

Json Serving::completing(int port, const Answer& answer, const Json& changes) const {
  Json ack = packet(
      port, {{"flags", "A"}, {"seq", serving_isn + 1}, {"ack", std::uint32_t{answer.seq + 1}}});
  if (const auto tsval = answer.tsval()) {
    char hex[32];
    std::snprintf(hex, sizeof hex, "0101080a000010e1%08x", *tsval);
    ack["tcp"]["options"] = {{{"hex", hex}}};
  }
  ack["tcp"].update(changes);
  return ack;
}

void Serving::limit_peace(std::uint32_t token_ns) {
  for (const std::uint32_t slot : {18U, 19U, 28U, 29U}) {
    auto service = server_->get<trap_service>("services", slot);
    service.peace_token_ns = token_ns;
    server_->put("services", slot, service);
  }
}

void Serving::change_flags(std::uint32_t add, std::uint32_t remove) {
  for (const std::uint32_t slot : {18U, 19U, 28U, 29U}) {
    auto service = server_->get<trap_service>("services", slot);
    service.flags = (service.flags | add) & ~remove;
    server_->put("services", slot, service);
  }
}

Json linux_options() {
  return Json::array({{{"linux", 1}}});
}

} // namespace trap::test
