// SPDX-License-Identifier: Apache-2.0
// The client's tables at their bounds: a connection of a socket of this host outlives any number of
// new ones, however long it is silent.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "client/maps.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/bpf/harness/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr int service_port = 8000, local_port = 40000;

class ClientFlows : public testing::TestWithParam<int> {
protected:
  static void SetUpTestSuite() {
    enter_own_network();
    bring_loopback_up();
  }

  void SetUp() override { client_ = &fresh_object(part_under_test(), constants_); }

  static const char* here() { return "here"; }

  void put(const std::string& map, const Json& entry) {
    const DescribedEntry described = describe_entry(map, entry, GetParam(), constants_, 0);
    client_->put(map, described.key, described.value);
  }

  // As the program at egress notes it in the socket.
  void translate_in_socket(const Socket& socket, int port = service_port) {
    trap_translation translation{};
    translation.service = constants_.address(here(), GetParam()).value;
    translation.backend = constants_.address("backend", GetParam()).value;
    translation.service_port = htons(static_cast<std::uint16_t>(port));
    translation.backend_port = htons(8080);
    const int fd = socket.fd();
    ASSERT_EQ(bpf_map_update_elem(storage_fd(), &fd, &translation, BPF_ANY), 0);
  }

  int storage_fd() const {
    return bpf_map__fd(bpf_object__find_map_by_name(client_->object(), "translations"));
  }

  void learn_origin(int port = service_port) {
    put("origins",
        {{"backend", "backend"}, {"backend_port", 8080}, {"service", here()}, {"port", port}});
  }

  // The host's other connections, all of them newer.
  void fill_tables() {
    for (const char* map : {"to_backend", "to_public"})
      for (int number = 0; number < 20'000; number++) {
        Json entry = {{"local", "client"},
                      {"remote", "stranger"},
                      {"local_port", number},
                      {"remote_port", 1 + number / 5000}};
        put(map, entry);
      }
  }

  Bytes from_backend(const char* source = "backend", int port = 8080) const {
    return build_packet(
        {{"ip", {{"src", source}, {"dst", here()}}},
         {"tcp", {{"sport", port}, {"dport", local_port}, {"flags", "PA"}, {"seq", 7}, {"ack", 9}}},
         {"payload", 100}},
        GetParam(), constants_);
  }

  Bytes translated() const { return from_backend(here(), service_port); }

  void expect_from_service(const char* what) {
    const auto before = client_->counters(0);
    const Outcome outcome = client_->run("trap_client_ingress", from_backend());
    EXPECT_EQ(client_->counters(0)[TRAP_PASS_FROM_SERVICE] - before[TRAP_PASS_FROM_SERVICE], 1u)
        << what;
    EXPECT_EQ(difference(translated(), outcome.frame), "") << what;
  }

  void expect_untouched(const Bytes& frame, const char* what) {
    const auto before = client_->counters(0);
    const Outcome outcome = client_->run("trap_client_ingress", frame);
    EXPECT_EQ(client_->counters(0)[TRAP_PASS_OTHER] - before[TRAP_PASS_OTHER], 1u) << what;
    EXPECT_EQ(difference(frame, outcome.frame), "") << what;
  }

  // A SYN to the service at `port` that goes straight to the backend.
  void follow_a_redirect(int port) {
    put("redirects", {{"local", here()},
                      {"service", here()},
                      {"port", port},
                      {"backend", "backend"},
                      {"backend_port", 8080},
                      {"in_s", 600}});
    const auto before = client_->counters(0);
    client_->run("trap_client_egress",
                 build_packet({{"ip", {{"src", here()}, {"dst", here()}}},
                               {"tcp", {{"sport", local_port + 1}, {"dport", port}}}},
                              GetParam(), constants_));
    EXPECT_EQ(client_->counters(0)[TRAP_PASS_SYN_TICKETED] - before[TRAP_PASS_SYN_TICKETED], 1u)
        << port;
  }

  std::size_t inward_entries() { return client_->entries("to_public").size(); }

  const TestConstants constants_;
  Object* client_ = nullptr;
};

TEST_P(ClientFlows, a_silent_connection_is_found_in_its_socket) {
  const Socket listener = listen_on(GetParam(), service_port);
  const Socket socket = connect_from(GetParam(), local_port, service_port);
  translate_in_socket(socket);
  learn_origin();
  fill_tables();
  expect_from_service("after 20000 newer connections");
  EXPECT_GT(inward_entries(), 0u);
  client_->clear("to_public");
  expect_from_service("without any table");
  EXPECT_EQ(inward_entries(), 1u) << "the next packet finds it at once";
}

TEST_P(ClientFlows, only_sockets_that_went_to_that_backend_are_taken_for_its) {
  Socket listener = listen_on(GetParam(), service_port);
  Socket socket = connect_from(GetParam(), local_port, service_port);
  learn_origin();
  expect_untouched(from_backend(), "of a socket that was not redirected");
  translate_in_socket(socket, service_port + 1);
  expect_untouched(from_backend(), "of a socket that dialled another service then");
  translate_in_socket(socket);
  expect_untouched(from_backend("backend", 8081), "from another port");
  expect_untouched(from_backend("stranger"), "from another host");
  EXPECT_EQ(inward_entries(), 0u);
  client_->clear("origins");
  expect_untouched(from_backend(), "of a service that was never redirected");
  learn_origin();
  expect_from_service("and the right one is");
  client_->clear("to_public");
  listener.reset(); // which resets what nobody accepted
  socket.reset();
  expect_untouched(from_backend(), "of a socket that is gone");
}

TEST_P(ClientFlows, several_services_may_have_one_backend) {
  const Socket listener = listen_on(GetParam(), service_port);
  const Socket socket = connect_from(GetParam(), local_port, service_port);
  translate_in_socket(socket);
  for (const int port : {7001, service_port, 7002, 7003})
    follow_a_redirect(port);
  EXPECT_EQ(client_->entries("origins").size(), 1u);
  expect_from_service("one of four");
}

// The rig has every bit set; here the programs have to set those that they need, and no others.
TEST_P(ClientFlows, where_connections_were_redirected_is_told_by_two_bits) {
  client_->put("remotes", std::uint32_t{0}, trap_remotes{});
  follow_a_redirect(service_port);
  const auto remotes = client_->get<trap_remotes>("remotes", std::uint32_t{0});
  int bits = 0;
  for (const __u64 word : remotes.words)
    bits += __builtin_popcountll(word);
  EXPECT_EQ(bits, 2) << "the service's and the backend's";

  const auto before = client_->counters(0);
  const Json ends = {{"sport", 8080}, {"dport", local_port + 1}, {"flags", "A"}};
  client_->run("trap_client_ingress",
               build_packet({{"ip", {{"src", "backend"}, {"dst", here()}}}, {"tcp", ends}},
                            GetParam(), constants_));
  const Json back = {{"sport", local_port + 1}, {"dport", service_port}, {"flags", "A"}};
  client_->run("trap_client_egress",
               build_packet({{"ip", {{"src", here()}, {"dst", here()}}}, {"tcp", back}}, GetParam(),
                            constants_));
  EXPECT_EQ(client_->counters(0)[TRAP_PASS_FROM_SERVICE] - before[TRAP_PASS_FROM_SERVICE], 1u);
  EXPECT_EQ(client_->counters(0)[TRAP_PASS_TO_SERVICE] - before[TRAP_PASS_TO_SERVICE], 1u);
}

// What this host dials is all that fills them, and the newest connection always works.
TEST_P(ClientFlows, every_table_is_bounded) {
  const auto send = [&](const char* program, const Json& packet, trap_verdict verdict) {
    const auto before = client_->counters(0);
    client_->run(program, build_packet(packet, GetParam(), constants_));
    EXPECT_EQ(client_->counters(0)[verdict] - before[verdict], 1u) << packet.dump();
  };
  const Json back = {{"src", "public"}, {"dst", "client"}};
  for (int port = 1; port <= 3000; port++) {
    send("trap_client_egress", {{"tcp", {{"dport", port}, {"seq", "$isn"}}}},
         TRAP_PASS_SYN_REMEMBERED);
    send("trap_client_ingress",
         {{"ip", back},
          {"tcp",
           {{"sport", port},
            {"dport", 40000},
            {"seq", 6},
            {"ack", "$isn+1"},
            {"flags", "SA"},
            {"options", {{{"offer", 0}}}}}}},
         TRAP_REPLY_ACCEPT);
    send("trap_client_ingress",
         {{"ip", back},
          {"tcp",
           {{"sport", port},
            {"dport", 40000},
            {"seq", 7},
            {"ack", "$isn+1"},
            {"flags", "RA"},
            {"options", {{{"redirect", {{"port", port}}}}}}}}},
         TRAP_REPLY_REISSUED_SYN);
  }
  for (const char* map : {"pending", "redirects", "origins", "to_backend", "to_public"})
    EXPECT_LE(client_->entries(map).size(), 1024u) << map;
  send("trap_client_egress", {{"tcp", {{"dport", 3000}, {"flags", "A"}}}}, TRAP_PASS_TO_SERVICE);
}

TEST_P(ClientFlows, what_is_explained_is_found_in_its_socket_too) {
  const Object& twin = twin_object(part_under_test(), constants_);
  const Socket listener = listen_on(GetParam(), service_port);
  const Socket socket = connect_from(GetParam(), local_port, service_port);
  translate_in_socket(socket);
  const Bytes outgoing =
      build_packet({{"ip", {{"src", here()}, {"dst", here()}}},
                    {"tcp", {{"sport", local_port}, {"dport", service_port}, {"flags", "A"}}}},
                   GetParam(), constants_);
  EXPECT_EQ(twin.run("trap_client_egress", outgoing).action & 0xff,
            static_cast<unsigned>(TRAP_PASS_TO_SERVICE));
}

// Another user, or a host behind this one: here, another local address. More SYNs than both tables
// of SYNs have room for leave the first one's handshake as it was.
TEST_P(ClientFlows, many_syns_of_one_owner_leave_the_handshakes_of_another) {
  Object& client = fresh_object(part_under_test(), constants_, false, false);
  const auto syn = [&](const char* source, int port, int number) {
    return build_packet({{"ip", {{"src", source}, {"dst", "public"}}},
                         {"tcp", {{"sport", number}, {"dport", port}, {"seq", 7}}}},
                        GetParam(), constants_);
  };
  client.run("trap_client_egress", syn("client", 80, local_port));
  for (int number = 0; number < 20'000; number++)
    client.run("trap_client_egress", syn("elsewhere", 80, 1 + number));
  const auto before = client.counters(0);
  client.run("trap_client_ingress", build_packet({{"ip", {{"src", "public"}, {"dst", "client"}}},
                                                  {"tcp",
                                                   {{"sport", 80},
                                                    {"dport", local_port},
                                                    {"flags", "SA"},
                                                    {"seq", 6},
                                                    {"ack", 8},
                                                    {"options", {{{"offer", 0}}}}}}},
                                                 GetParam(), constants_));
  EXPECT_EQ(client.counters(0)[TRAP_REPLY_ACCEPT] - before[TRAP_REPLY_ACCEPT], 1u);
  EXPECT_GT(client.entries("pending_crowd").size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Families, ClientFlows, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
