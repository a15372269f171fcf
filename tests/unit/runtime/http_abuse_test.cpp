// SPDX-License-Identifier: Apache-2.0
// Requests that would hurt a daemon: too long, too slow, of forms that cost memory. Each is refused
// or cut, others are answered meanwhile, and the server stops at once. Nothing here waits for a
// time: a server that fails to act makes a read or a send end after 20 s, and the test with it.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include <fmt/core.h>

#include "runtime/control/http_server.h"
#include "runtime/fd.h"
#include "tests/unit/runtime/http_client.h"

namespace trap::test {
namespace {

using testing::HasSubstr;

constexpr HttpLimits test_limits = {.body_bytes = 100};
constexpr int for_ever = 3600000; // ms

HttpReading::State state_of(std::string_view bytes) {
  return read_http_request(bytes, test_limits).state;
}

TEST(HttpRequestReader, takes_a_whole_request_and_waits_for_the_rest_of_a_part) {
  const std::string bytes = "POST /a%2fb/%5Bc?d=e%20 HTTP/1.1\r\nHost: x\r\ncontent-length: 3\r\n"
                            "\r\nabc";
  for (std::size_t i = 0; i < bytes.size(); i++)
    EXPECT_EQ(state_of(bytes.substr(0, i)), HttpReading::State::wants_more) << i;
  for (const char* behind : {"", "GET / HTTP/1.1\r\n\r\n"}) { // a pipelined one is not looked at
    const HttpReading reading = read_http_request(bytes + behind, test_limits);
    ASSERT_EQ(reading.state, HttpReading::State::complete);
    EXPECT_EQ(reading.request.method, "POST");
    EXPECT_EQ(reading.request.path, "/a/b/[c");
    EXPECT_EQ(reading.request.query, "d=e%20");
    EXPECT_EQ(reading.request.body, "abc");
  }
}

struct Refused {
  const char* why;
  std::string bytes;
  int status;
};

TEST(HttpRequestReader, refuses_by_name_what_it_does_not_take) {
  const auto with = [](const std::string& field) {
    return "GET / HTTP/1.1\r\n" + field + "\r\n\r\n";
  };
  std::string ranges = "Range: bytes=0-";
  for (int i = 0; i < 300; i++)
    ranges += ",0-";
  const Refused all[] = {
      {"300 ranges", with(ranges), 400},
      {"one range", with("range: bytes=0-1"), 400},
      {"chunks", with("Transfer-Encoding: chunked"), 501},
      {"chunks in capitals", with("TRANSFER-ENCODING:chunked"), 501},
      {"chunks and a length", with("Content-Length: 3\r\nTransfer-Encoding: chunked"), 501},
      {"two lengths", with("Content-Length: 3\r\nContent-Length: 3"), 400},
      {"a list of lengths", with("Content-Length: 3, 3"), 400},
      {"a negative length", with("Content-Length: -1"), 400},
      {"no length", with("Content-Length:"), 400},
      {"a body too long by a byte", with("Content-Length: 101"), 413},
      {"a length beyond 64 bits", with("Content-Length: 99999999999999999999999"), 413},
      {"a field without colon", with("Host"), 400},
      {"a field without name", with(": x"), 400},
      {"a continued field", with("A: b\r\n c: d"), 400},
      {"a space before the colon", with("Content-Length : 3"), 400},
      {"a URL as target", "GET http://x/ HTTP/1.1\r\n\r\n", 400},
      {"no target", "GET HTTP/1.1\r\n\r\n", 400},
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 400},
      {"a control character", "GET /\x1b[31m HTTP/1.1\r\n\r\n", 400},
      {"a byte above ASCII", "GET /\xff HTTP/1.1\r\n\r\n", 400},
      {"half an escape", "GET /%4 HTTP/1.1\r\n\r\n", 400},
      {"no escape", "GET /%-1 HTTP/1.1\r\n\r\n", 400},
      {"an empty request", "\r\n\r\n", 400},
      {"a TLS hello", std::string("\x16\x03\x01\x02\0\r\n\r\n", 9), 400},
      {"a line without end", "GET /" + std::string(8192, 'a'), 431},
      {"fields without end", with("A: " + std::string(8192, 'b')), 431},
  };
  for (const Refused& refused : all) {
    const HttpReading reading = read_http_request(refused.bytes, test_limits);
    EXPECT_EQ(reading.state, HttpReading::State::refused) << refused.why;
    EXPECT_EQ(reading.status, refused.status) << refused.why;
    EXPECT_NE(reading.line, "") << refused.why;
  }
}

TEST(HttpRequestReader, takes_a_head_of_exactly_the_limit) {
  const std::string begin = "GET / HTTP/1.1\r\nA: ", end = "\r\n\r\n";
  const std::string full = begin + std::string(8192 - begin.size() - end.size(), 'b') + end;
  EXPECT_EQ(state_of(full), HttpReading::State::complete);
  EXPECT_EQ(state_of(begin + "b" + full.substr(begin.size())), HttpReading::State::refused);
}

class HttpAbuse : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/trap-http-abuse-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string path() const { return directory_ + "/socket"; }

  void start(const HttpLimits& limits) {
    Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(listener.get(), SOMAXCONN), 0);
    auto server = HttpServer::make(std::move(listener), limits, [this](const HttpRequest& request) {
      if (request.path == "/throws")
        throw std::runtime_error("broken");
      return HttpAnswer{200, "text/plain", request.path == "/large" ? large_ : "fine"};
    });
    ASSERT_TRUE(server) << server.error().message;
    server_.emplace(std::move(*server));
  }

  Fd client() const { return connect_to_path(path()); }

  void expect_service() const { EXPECT_EQ(ask(client(), "GET", "/").body, "fine"); }

  const std::string large_ = std::string(32 << 20, 'x'); // more than any buffer of a socket
  std::string directory_;
  std::optional<HttpServer> server_;
};

TEST_F(HttpAbuse, a_request_byte_by_byte_has_its_time_as_a_whole) {
  start({.request_ms = 200, .clients = 4});
  const Fd slow = client();
  bool open = true;
  for (int i = 0; i < 1000 && open; i++) {
    open = send_bytes(slow, "G");
    usleep(10000);
  }
  EXPECT_FALSE(open);
  EXPECT_EQ(read_reply(slow).status, 0);
  expect_service();
}

TEST_F(HttpAbuse, a_client_that_takes_no_answer_is_cut_and_others_are_answered) {
  start({.answer_ms = 500});
  const Fd deaf = client();
  ASSERT_TRUE(send_bytes(deaf, "GET /large HTTP/1.1\r\n\r\n"));
  expect_service();
  usleep(600000);
  expect_service(); // the server has looked at its clients since
  EXPECT_LT(read_reply(deaf).body.size(), large_.size());
}

TEST_F(HttpAbuse, whoever_asks_is_answered_while_others_hold_every_place) {
  start({.request_ms = for_ever, .clients = 8});
  std::vector<Fd> holders;
  for (int i = 0; i < 100; i++) {
    holders.push_back(client());
    ASSERT_TRUE(send_bytes(holders.back(), "GET / HTTP/1.1\r\nA: ")) << i;
    if (i % 10 == 0)
      expect_service();
  }
  expect_service();
  EXPECT_EQ(read_reply(holders.front()).status, 0); // cut, to make room
}

TEST_F(HttpAbuse, a_hundred_clients_at_once_are_all_answered) {
  start({});
  std::vector<Fd> clients;
  for (int i = 0; i < 100; i++)
    clients.push_back(client());
  for (const Fd& one : clients)
    ASSERT_TRUE(send_bytes(one, "GET / HTTP/1.1\r\n\r\n"));
  for (const Fd& one : clients)
    EXPECT_EQ(read_reply(one).body, "fine");
}

TEST_F(HttpAbuse, a_half_closed_connection_gets_its_answer) {
  start({.request_ms = for_ever});
  const Fd half = client();
  ASSERT_TRUE(send_bytes(half, "GET /large HTTP/1.1\r\n\r\n"));
  ASSERT_EQ(shutdown(half.get(), SHUT_WR), 0);
  EXPECT_EQ(read_reply(half).body.size(), large_.size());
  const Fd early = client(); // the request is not whole
  ASSERT_TRUE(send_bytes(early, "GET / HTTP"));
  ASSERT_EQ(shutdown(early.get(), SHUT_WR), 0);
  EXPECT_EQ(read_reply(early).status, 0);
}

TEST_F(HttpAbuse, of_pipelined_requests_the_first_is_answered) {
  start({});
  const Fd one = client();
  std::string requests;
  for (int i = 0; i < 1000; i++)
    requests += "GET / HTTP/1.1\r\n\r\n";
  ASSERT_TRUE(send_bytes(one, requests));
  const HttpReply reply = read_reply(one);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "fine");
  EXPECT_THAT(reply.head, HasSubstr("Connection: close\r\n"));
}

TEST_F(HttpAbuse, a_body_without_end_is_cut) {
  start({.body_bytes = 100, .request_ms = for_ever});
  for (const char* field : {"Transfer-Encoding: chunked", "Content-Length: 9999999999"}) {
    const Fd flood = client();
    ASSERT_TRUE(send_bytes(flood, fmt::format("POST / HTTP/1.1\r\n{}\r\n\r\n", field)));
    const std::string megabyte(1 << 20, 'x');
    int sent = 0;
    while (sent < 64 && send_bytes(flood, megabyte))
      sent++;
    EXPECT_LT(sent, 64) << field;
  }
  expect_service();
}

TEST_F(HttpAbuse, a_handler_that_throws_ends_no_daemon) {
  start({});
  const HttpReply reply = ask(client(), "GET", "/throws");
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.body, "broken\n");
  expect_service();
}

TEST_F(HttpAbuse, stops_at_once_whatever_clients_do) {
  start({.request_ms = for_ever, .answer_ms = for_ever});
  std::vector<Fd> clients;
  for (int i = 0; i < 20; i++) {
    clients.push_back(client());
    ASSERT_TRUE(send_bytes(clients.back(), i % 2 ? "GET /" : "GET /large HTTP/1.1\r\n\r\n"));
  }
  expect_service();
  server_.reset(); // hangs if it waits for any of them
  for (const Fd& one : clients)
    EXPECT_LT(read_reply(one).body.size(), large_.size());
}

TEST_F(HttpAbuse, without_descriptors_it_waits_and_answers_once_there_are_some) {
  start({});
  expect_service();
  const Fd waiting(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience = {20, 0};
  setsockopt(waiting.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path().copy(address.sun_path, sizeof(address.sun_path) - 1);
  rlimit earlier;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &earlier), 0);
  const rlimit few = {64, earlier.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<Fd> fill;
  do
    fill.emplace_back(dup(STDERR_FILENO));
  while (fill.back());
  EXPECT_EQ(connect(waiting.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_TRUE(send_bytes(waiting, "GET / HTTP/1.1\r\n\r\n"));
  usleep(20000); // the server has met the limit
  fill.clear();
  EXPECT_EQ(read_reply(waiting).body, "fine");
  setrlimit(RLIMIT_NOFILE, &earlier);
}

} // namespace
} // namespace trap::test
