// SPDX-License-Identifier: Apache-2.0
// One local port towards several services that have one backend: each connection has a place of its
// own on the wire, and none takes that of one that lives.
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <functional>
#include <optional>

#include "client/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr int first_port = 8001, second_port = 8002, local_port = 40000;
constexpr int backend_port = 8080;
constexpr int other_port = local_port ^ 0x8000; // of the first lane beside the port itself

class ClientLanes : public testing::TestWithParam<int> {
protected:
  static void SetUpTestSuite() {
    enter_own_network();
    bring_loopback_up();
  }

  void SetUp() override { client_ = &fresh_object(part_under_test(), constants_); }

  void put(const std::string& map, const Json& entry) {
    const DescribedEntry described = describe_entry(map, entry, GetParam(), constants_, 0);
    client_->put(map, described.key, described.value);
  }

  void put_redirect(int port, const char* backend = "backend") {
    put("redirects", {{"local", "here"},
                      {"service", "here"},
                      {"port", port},
                      {"backend", backend},
                      {"backend_port", backend_port},
                      {"in_s", 600}});
  }

  Bytes packet(const char* source, int source_port, const char* destination, int destination_port,
               const char* flags = "A", const Json& options = Json::array()) const {
    return build_packet({{"ip", {{"src", source}, {"dst", destination}}},
                         {"tcp",
                          {{"sport", source_port},
                           {"dport", destination_port},
                           {"seq", seq_},
                           {"ack", std::string{flags} == "S" ? 0 : 9},
                           {"flags", flags},
                           {"options", options}}}},
                        GetParam(), constants_);
  }

  // Of this host, to a service on it or to the backend.
  Bytes to(int port, const char* flags = "A") const {
    return packet("here", local_port, "here", port, flags);
  }
  Bytes to_wire(int wire_port, const char* backend = "backend", const char* flags = "A",
                const Json& options = Json::array()) const {
    return packet("here", wire_port, backend, backend_port, flags, options);
  }
  Bytes ticketed(int wire_port, const char* backend = "backend") const {
    return to_wire(wire_port, backend, "S", {{{"ticket", std::string(24, '0')}}});
  }
  Bytes from_wire(int wire_port, const char* backend = "backend") const {
    return packet(backend, backend_port, "here", wire_port);
  }
  Bytes from(int port) const { return packet("here", port, "here", local_port); }

  void expect(const char* program, const Bytes& in, trap_verdict verdict, const Bytes& out,
              const std::string& what) {
    const auto before = client_->counters(0);
    const Outcome outcome = client_->run(program, in);
    EXPECT_EQ(client_->counters(0)[verdict] - before[verdict], 1u) << what;
    EXPECT_EQ(difference(out, outcome.frame), "") << what;
  }

  void expect_both_ways(int port, int wire_port, const char* backend = "backend") {
    const std::string what = std::to_string(port) + " by " + std::to_string(wire_port);
    expect("trap_client_egress", to(port), TRAP_PASS_TO_SERVICE, to_wire(wire_port, backend), what);
    expect("trap_client_ingress", from_wire(wire_port, backend), TRAP_PASS_FROM_SERVICE, from(port),
           what);
  }

  // As the program at egress notes it in the socket.
  void translate_in_socket(const Socket& socket, int port, int lane) {
    trap_translation translation{};
    translation.service = constants_.address("here", GetParam()).value;
    translation.backend = constants_.address("backend", GetParam()).value;
    translation.service_port = htons(static_cast<std::uint16_t>(port));
    translation.backend_port = htons(backend_port);
    translation.flags = static_cast<__u8>(lane << 4);
    const int fd = socket.fd();
    ASSERT_EQ(bpf_map_update_elem(client_->map_fd("translations"), &fd, &translation, BPF_ANY), 0);
  }

  std::size_t places() { return client_->entries("to_public").size(); }

  const TestConstants constants_;
  Object* client_ = nullptr;
  int seq_ = 7; // of packets; each connection has its own
};

TEST_P(ClientLanes, the_second_connection_goes_from_another_port) {
  const Socket listeners[] = {listen_on(GetParam(), first_port),
                              listen_on(GetParam(), second_port)};
  const Socket first = connect_from(GetParam(), local_port, first_port);
  put_redirect(first_port);
  put_redirect(second_port);
  expect("trap_client_egress", to(first_port, "S"), TRAP_PASS_SYN_TICKETED, ticketed(local_port),
         "the first");
  const Socket second = connect_from(GetParam(), local_port, second_port);
  expect("trap_client_egress", to(second_port, "S"), TRAP_PASS_SYN_TICKETED, ticketed(other_port),
         "the second");
  expect("trap_client_egress", to(second_port, "S"), TRAP_PASS_SYN_TICKETED, ticketed(other_port),
         "its repetition");
  EXPECT_EQ(places(), 2u);
  expect_both_ways(first_port, local_port);
  expect_both_ways(second_port, other_port);
}

TEST_P(ClientLanes, a_place_is_given_back_when_it_is_needed) {
  const Socket listeners[] = {listen_on(GetParam(), first_port),
                              listen_on(GetParam(), second_port)};
  const Socket first = connect_from(GetParam(), local_port, first_port);
  put_redirect(first_port);
  put_redirect(second_port);
  for (int lane = 0; lane < static_cast<int>(TRAP_LANES); lane++)
    put("to_public", {{"local", "here"},
                      {"remote", "backend"},
                      {"local_port", local_port ^ lane << 12},
                      {"remote_port", backend_port},
                      {"service", "stranger"},
                      {"port", 80},
                      {"flags", lane << 4}});
  expect("trap_client_egress", to(first_port, "S"), TRAP_PASS_SYN_TICKETED, ticketed(local_port),
         "no socket has any of the places");
  const Socket second = connect_from(GetParam(), local_port, second_port);
  expect("trap_client_egress", to(second_port, "S"), TRAP_PASS_SYN_TICKETED, ticketed(other_port),
         "the first has one now");
  expect_both_ways(first_port, local_port);
}

// Bit 0x8000 leads below the ports that programs may use: that lane is skipped.
TEST_P(ClientLanes, no_lane_has_a_privileged_port) {
  constexpr int low = 33000;
  put_redirect(first_port);
  put("to_public", {{"local", "here"},
                    {"remote", "backend"},
                    {"local_port", low},
                    {"remote_port", backend_port},
                    {"service", "stranger"},
                    {"port", 80}});
  expect("trap_client_egress", packet("here", low, "here", first_port, "S"), TRAP_PASS_SYN_TICKETED,
         ticketed(low ^ 0x9000), "the second lane");
}

TEST_P(ClientLanes, sockets_that_dial_the_backend_itself_keep_their_ports) {
  const Socket listener = listen_on(GetParam(), backend_port);
  const Socket direct = connect_from(GetParam(), local_port, backend_port);
  put_redirect(first_port, "here");
  expect("trap_client_egress", to(first_port, "S"), TRAP_PASS_SYN_TICKETED,
         ticketed(other_port, "here"), "a redirected connection beside a direct one");
  expect("trap_client_egress", to(backend_port), TRAP_PASS_OTHER, to(backend_port),
         "the direct one");
  expect("trap_client_ingress", from(backend_port), TRAP_PASS_OTHER, from(backend_port),
         "the direct one's answer");
  expect_both_ways(first_port, other_port, "here");
}

TEST_P(ClientLanes, dialling_the_backend_itself_takes_nothing_from_a_redirected_connection) {
  const Socket listeners[] = {listen_on(GetParam(), first_port),
                              listen_on(GetParam(), backend_port)};
  std::optional<Socket> redirected = connect_from(GetParam(), local_port, first_port);
  put_redirect(first_port, "here");
  expect("trap_client_egress", to(first_port, "S"), TRAP_PASS_SYN_TICKETED,
         ticketed(local_port, "here"), "redirected");
  seq_++;
  for (int time = 0; time < 2; time++)
    expect("trap_client_egress", to(backend_port, "S"), TRAP_PASS_TO_SERVICE,
           to_wire(other_port, "here", "S"), "a direct connection, and its SYN repeated");
  const Socket direct = connect_from(GetParam(), local_port, backend_port);
  expect_both_ways(first_port, local_port, "here");
  expect_both_ways(backend_port, other_port, "here");
}

TEST_P(ClientLanes, dialling_the_backend_itself_takes_the_place_of_what_is_over) {
  const Socket listener = listen_on(GetParam(), backend_port);
  const Socket direct = connect_from(GetParam(), local_port, backend_port);
  put("to_public", {{"local", "here"},
                    {"remote", "here"},
                    {"local_port", local_port},
                    {"remote_port", backend_port},
                    {"service", "here"},
                    {"port", first_port}});
  expect("trap_client_egress", to(backend_port, "S"), TRAP_PASS_SYN_REMEMBERED,
         to(backend_port, "S"), "a direct connection");
  EXPECT_EQ(places(), 0u);
}

TEST_P(ClientLanes, connections_that_the_tables_have_lost_keep_their_places) {
  const Socket listeners[] = {listen_on(GetParam(), first_port), listen_on(GetParam(), second_port),
                              listen_on(GetParam(), first_port + 9)};
  const Socket first = connect_from(GetParam(), local_port, first_port);
  const Socket second = connect_from(GetParam(), local_port, second_port);
  put_redirect(first_port);
  put_redirect(second_port);
  put_redirect(first_port + 9);
  client_->run("trap_client_egress", to(first_port, "S"));
  client_->run("trap_client_egress", to(second_port, "S"));
  translate_in_socket(first, first_port, 0);
  translate_in_socket(second, second_port, 8);
  client_->clear("to_backend");
  client_->clear("to_public");
  const Socket third = connect_from(GetParam(), local_port, first_port + 9);
  expect("trap_client_egress", to(first_port + 9, "S"), TRAP_PASS_SYN_TICKETED,
         ticketed(local_port ^ 0x9000), "neither of the two places");
  client_->clear("to_public");
  for (const auto& [wire_port, port] :
       {std::pair{local_port, first_port}, {other_port, second_port}})
    expect("trap_client_ingress", from_wire(wire_port), TRAP_PASS_FROM_SERVICE, from(port),
           "their packets find them");
}

// Hosts behind this one have no sockets here: their places are theirs.
TEST_P(ClientLanes, hosts_of_a_lan_have_lanes_too) {
  put_redirect(first_port);
  put_redirect(second_port);
  expect("trap_client_ingress_lan", to(first_port, "S"), TRAP_PASS_SYN_TICKETED,
         ticketed(local_port), "the first");
  expect("trap_client_ingress_lan", to(second_port, "S"), TRAP_PASS_SYN_TICKETED,
         ticketed(other_port), "the second");
  expect("trap_client_egress_lan", from_wire(other_port), TRAP_PASS_FROM_SERVICE, from(second_port),
         "its answer");
  expect("trap_client_egress_lan", from_wire(local_port), TRAP_PASS_FROM_SERVICE, from(first_port),
         "and the first's");
  seq_++;
  const Bytes direct = to_wire(local_port, "backend", "S");
  expect("trap_client_ingress_lan", direct, TRAP_PASS_TO_SERVICE,
         to_wire(local_port ^ 0x9000, "backend", "S"), "the backend itself");
}

// A container upon this interface has its sockets where the programs cannot look: its places are
// its own, as those of a host of a LAN are.
TEST_P(ClientLanes, connections_of_other_network_namespaces_keep_their_places) {
  put_redirect(first_port);
  expect("trap_client_egress", to(first_port, "S"), TRAP_PASS_SYN_TICKETED, ticketed(local_port),
         "a redirected one");
  seq_++;
  expect("trap_client_egress", to_wire(local_port, "backend", "S"), TRAP_PASS_TO_SERVICE,
         to_wire(other_port, "backend", "S"), "the backend itself is dialled");
  expect_both_ways(first_port, local_port);
  for (int lane = 1; lane < static_cast<int>(TRAP_LANES); lane++)
    if (lane != 8) // the direct one has that
      put("to_public", {{"local", "here"},
                        {"remote", "backend"},
                        {"local_port", local_port ^ lane << 12},
                        {"remote_port", backend_port},
                        {"service", "stranger"},
                        {"port", 80},
                        {"flags", lane << 4}});
  const auto before = client_->entries("to_public");
  put_redirect(second_port);
  seq_++;
  expect("trap_client_egress", to(second_port, "S"), TRAP_PASS_SYN_REMEMBERED, to(second_port, "S"),
         "without a place");
  EXPECT_EQ(before, client_->entries("to_public"));
}

// Whoever has no sockets here may have dialled the backend itself before.
TEST_P(ClientLanes, a_direct_connection_without_a_socket_here_keeps_its_port) {
  for (const char* program : {"trap_client_ingress_lan", "trap_client_egress"}) {
    SetUp();
    put_redirect(first_port);
    seq_++;
    expect(program, to_wire(local_port, "backend", "S"), TRAP_PASS_SYN_REMEMBERED,
           to_wire(local_port, "backend", "S"), program);
    seq_++;
    expect(program, to(first_port, "S"), TRAP_PASS_SYN_TICKETED, ticketed(other_port), program);
  }
}

// Connection tracking gives a forwarded connection the port of one of this host's.
TEST_P(ClientLanes, forwarded_connections_and_the_hosts_own_keep_apart) {
  const Socket listeners[] = {listen_on(GetParam(), first_port),
                              listen_on(GetParam(), second_port)};
  const Socket first = connect_from(GetParam(), local_port, first_port);
  put_redirect(first_port);
  put_redirect(second_port);
  client_->run("trap_client_egress", to(first_port, "S"));
  const auto forward = [&](const Bytes& in, const Bytes& out, trap_verdict verdict,
                           const char* what) {
    __sk_buff context = {};
    Bytes frame(in.size() + 64);
    context.ingress_ifindex = 1;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = in.data();
    options.data_size_in = static_cast<__u32>(in.size());
    options.data_out = frame.data();
    options.data_size_out = static_cast<__u32>(frame.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof(context);
    const auto before = client_->counters(0);
    ASSERT_EQ(bpf_prog_test_run_opts(client_->program_fd("trap_client_egress"), &options), 0);
    frame.resize(options.data_size_out);
    EXPECT_EQ(client_->counters(0)[verdict] - before[verdict], 1u) << what;
    EXPECT_EQ(difference(out, frame), "") << what;
  };
  seq_++;
  forward(to_wire(local_port, "backend", "S"), to_wire(other_port, "backend", "S"),
          TRAP_PASS_TO_SERVICE, "a SYN with the host's own port");
  forward(to_wire(local_port), to_wire(other_port), TRAP_PASS_TO_SERVICE, "its segments");
  expect("trap_client_ingress", from_wire(other_port), TRAP_PASS_FROM_SERVICE,
         from_wire(local_port), "their answers");
  expect_both_ways(first_port, local_port);
  seq_++;
  const Bytes quiet = packet("here", 41000, "backend", backend_port, "S");
  forward(quiet, quiet, TRAP_PASS_OTHER, "one with a port of its own");
  seq_++;
  expect("trap_client_egress", packet("here", 41000, "here", second_port, "S"),
         TRAP_PASS_SYN_TICKETED, ticketed(41000 ^ 0x8000), "then the host's own goes elsewhere");
  const Bytes answer = packet("backend", backend_port, "here", 41000);
  expect("trap_client_ingress", answer, TRAP_PASS_OTHER, answer, "and takes no answer");
}

// With every place taken a TRAP server that serves is to serve, and one that resets may reset.
TEST_P(ClientLanes, a_connect_without_a_place_ends_as_without_the_module) {
  const Json offer = {{{"offer", 0}}}, redirect = {{{"redirect", {{"port", backend_port}}}}};
  const auto answer = [&](const char* flags, int seq, int window, const Json& options) {
    return build_packet({{"ip", {{"src", "here"}, {"dst", "here"}}},
                         {"tcp",
                          {{"sport", first_port},
                           {"dport", local_port},
                           {"seq", seq},
                           {"ack", 8},
                           {"flags", flags},
                           {"window", window},
                           {"options", options}}}},
                        GetParam(), constants_);
  };
  const auto run = [&](const char* program, const Bytes& in, trap_verdict verdict,
                       const char* what) {
    const auto before = client_->counters(0);
    client_->run(program, in);
    EXPECT_EQ(client_->counters(0)[verdict] - before[verdict], 1u) << what;
  };
  for (int lane = 0; lane < static_cast<int>(TRAP_LANES); lane++)
    put("to_public", {{"local", "here"},
                      {"remote", "backend"},
                      {"local_port", local_port ^ lane << 12},
                      {"remote_port", backend_port},
                      {"side", 1},
                      {"service", "stranger"},
                      {"port", 80},
                      {"flags", lane << 4}});
  const auto before = client_->entries("to_public");
  put_redirect(first_port);
  run("trap_client_ingress_lan", to(first_port, "S"), TRAP_PASS_SYN_REMEMBERED, "a redirect");
  run("trap_client_egress_lan", answer("SA", 20, 500, offer), TRAP_PASS_OFFER_DECLINED, "served");
  client_->clear("redirects");
  client_->clear("pending");
  run("trap_client_ingress_lan", to(first_port, "S"), TRAP_PASS_SYN_REMEMBERED, "none yet");
  run("trap_client_egress_lan", answer("SA", 20, 500, offer), TRAP_REPLY_ACCEPT, "asks");
  run("trap_client_egress_lan", answer("RA", 21, 0, redirect), TRAP_REPLY_SYN_AGAIN, "in vain");
  run("trap_client_ingress_lan", to(first_port, "S"), TRAP_PASS_SYN_REMEMBERED, "and asks again");
  run("trap_client_egress_lan", answer("SA", 20, 500, offer), TRAP_PASS_OFFER_DECLINED, "served");
  client_->clear("redirects");
  client_->clear("pending");
  run("trap_client_ingress_lan", to(first_port, "S"), TRAP_PASS_SYN_REMEMBERED, "one that resets");
  run("trap_client_egress_lan", answer("SA", 20, 0, offer), TRAP_REPLY_ACCEPT, "asks");
  run("trap_client_egress_lan", answer("RA", 21, 0, redirect), TRAP_PASS_REDIRECT_REFUSED, "reset");
  EXPECT_EQ(client_->entries("to_public"), before);
}

INSTANTIATE_TEST_SUITE_P(Families, ClientLanes, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
