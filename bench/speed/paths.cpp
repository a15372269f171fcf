// SPDX-License-Identifier: Apache-2.0
// Every path that traffic takes often, described as the fixtures of tests/bpf describe packets.
#include "bench/speed/path.h"

namespace trap::bench {
namespace {

using test::Json;

const Json linux_syn = {{"seq", "$isn"}, {"options", {{{"linux", 1}}}}};

Json merged(Json base, const Json& more) {
  base.update(more);
  return base;
}

Json to_backend(const Json& tcp) {
  return {{"ip", {{"dst", "backend"}}}, {"tcp", tcp}};
}

Json syn_with_ticket(const std::string& ticket) {
  return to_backend({{"seq", "$isn"}, {"options", {{{"linux", 1}}, {{"ticket", ticket}}}}});
}

const Json wrong_ack = {{"flags", "A"}, {"seq", 1}, {"ack", 2}};

// Public ports 90 and 82 of server_rig.cpp: with TRAP's own cookies, and with the kernel's.
Path served(const std::string& name, int port, trap_verdict verdict, const Json& tcp) {
  return {name, "server", "trap_server", verdict, {{"tcp", merged(tcp, {{"dport", port}})}}, {}};
}

std::vector<Path> of_server() {
  const std::string program = "trap_server";
  return {
      {"server-syn", "server", program, TRAP_REPLY_SYN_ACK, {{"tcp", linux_syn}}, {}},
      {"server-ack-invalid", "server", program, TRAP_DROP_BAD_COOKIE, {{"tcp", wrong_ack}}, {}},
      {"server-ack-valid",
       "server",
       program,
       TRAP_REPLY_REDIRECT,
       {{"tcp",
         {{"flags", "A"},
          {"seq", "$isn+1"},
          {"ack", "$cookie.now+1"},
          {"options", {{{"accept", 0}}, {{"nop", 20}}}}}}},
       {}},
      served("server-serve-syn", 90, TRAP_REPLY_SYN_ACK, linux_syn),
      served("server-serve-ack-invalid", 90, TRAP_DROP_BAD_COOKIE, wrong_ack),
      served("server-kernel-cookie-syn", 82, TRAP_REPLY_SYN_ACK, linux_syn),
      served("server-kernel-cookie-ack-invalid", 82, TRAP_DROP_BAD_COOKIE, wrong_ack),
      {"server-other-address",
       "server",
       program,
       TRAP_PASS_OTHER,
       {{"ip", {{"dst", "elsewhere"}}}, {"tcp", {{"flags", "A"}}}},
       {}},
  };
}

std::vector<Path> of_guard() {
  const std::string program = "trap_guard", egress = "trap_guard_egress";
  const auto leaving = [](const char* flags) -> Json {
    return {{"ip", {{"src", "backend"}, {"dst", "client"}}},
            {"tcp", {{"sport", 80}, {"dport", 40000}, {"flags", flags}}}};
  };
  const Json announced = Json::parse(
      R"({"announced": [{"client": "client-scope", "port": 80, "scope": "$scope", "in_s": 4000}]})");
  const Json flow = Json::parse(
      R"({"flows": [{"client": "client", "service": "backend", "client_port": 40000, "service_port": 80, "flags": 1}]})");
  return {
      {"guard-syn-uninvited", "guard", program, TRAP_DROP_UNINVITED, to_backend(linux_syn), {}},
      {"guard-syn-uninvited-trust",
       "guard",
       program,
       TRAP_DROP_UNINVITED,
       to_backend(linux_syn),
       {},
       true},
      {"guard-syn-ticket",
       "guard",
       program,
       TRAP_PASS_TICKET,
       syn_with_ticket("$ticket.valid"),
       {}},
      {"guard-syn-bad-ticket",
       "guard",
       program,
       TRAP_DROP_TICKET_MAC,
       syn_with_ticket("$ticket.other-client"),
       {}},
      {"guard-syn-announced", "guard", program, TRAP_PASS_ANNOUNCED, to_backend(linux_syn),
       announced},
      {"guard-flow", "guard", program, TRAP_PASS_FLOW, to_backend({{"flags", "A"}}), flow},
      {"guard-no-flow", "guard", program, TRAP_DROP_NO_FLOW, to_backend({{"flags", "A"}}), {}},
      {"guard-other-port",
       "guard",
       program,
       TRAP_PASS_OTHER,
       to_backend({{"flags", "A"}, {"dport", 22}}),
       {}},
      {"guard-leaving", "guard", egress, TRAP_VERDICT_COUNT, leaving("A"), flow},
      {"guard-leaving-answer", "guard", egress, TRAP_PASS_ANSWER, leaving("SA"), flow},
  };
}

std::vector<Path> of_client() {
  const Json incoming = {{"src", "public"}, {"dst", "client"}};
  const Json from_backend = {{"src", "backend"}, {"dst", "client"}};
  const Json swapped_ports = {{"sport", 80}, {"dport", 40000}, {"flags", "A"}};
  const Json flow = Json::parse(R"({
    "to_backend": [{"local": "client", "remote": "public", "local_port": 40000, "remote_port": 80, "backend": "backend", "backend_port": 80, "syns": 1, "isn": 1}],
    "to_public": [{"local": "client", "remote": "backend", "local_port": 40000, "remote_port": 80, "service": "public", "port": 80}]})");
  return {
      {"client-egress-other",
       "client",
       "trap_client_egress",
       TRAP_PASS_OTHER,
       {{"tcp", {{"flags", "A"}}}},
       {}},
      {"client-ingress-other",
       "client",
       "trap_client_ingress",
       TRAP_PASS_OTHER,
       {{"ip", incoming}, {"tcp", swapped_ports}},
       {}},
      {"client-egress-syn",
       "client",
       "trap_client_egress",
       TRAP_PASS_SYN_REMEMBERED,
       {{"tcp", linux_syn}},
       {}},
      {"client-egress-translated",
       "client",
       "trap_client_egress",
       TRAP_PASS_TO_SERVICE,
       {{"tcp", {{"flags", "A"}}}},
       flow},
      {"client-ingress-translated",
       "client",
       "trap_client_ingress",
       TRAP_PASS_FROM_SERVICE,
       {{"ip", from_backend}, {"tcp", swapped_ports}},
       flow},
  };
}

} // namespace

std::vector<Path> paths() {
  std::vector<Path> all = of_server();
  for (const auto& more : {of_guard(), of_client()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

} // namespace trap::bench
