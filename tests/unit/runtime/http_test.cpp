// SPDX-License-Identifier: Apache-2.0
// Control socket and metrics listener, asked over real sockets: what each path answers, and what
// neither of them does.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <thread>

#include "runtime/control/control_server.h"
#include "runtime/control/explain_json.h"
#include "runtime/control/metrics_server.h"
#include "runtime/fd.h"
#include "tests/unit/runtime/http_client.h"

namespace trap::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class ControlSocket : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/trap-http-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    ControlHandlers handlers = {[] { return std::string("{}"); },
                                [] { return std::string("trap_a 1\n"); },
                                [](const std::string& service) {
                                  return ReadyAnswer{service.empty() ? 200 : 503, service};
                                },
                                [this] { return reload_result_; },
                                [this](const std::vector<std::string>& words) {
                                  words_ = words;
                                  return command_result_;
                                },
                                [this](const ExplainRequest& request) {
                                  asked_ = request;
                                  return Result<std::string>(explanation_);
                                }};
    auto server = ControlServer::make(path(), group_, std::move(handlers));
    ASSERT_TRUE(server) << server.error().message;
    server_.emplace(std::move(*server));
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string path() const { return directory_ + "/control.sock"; }
  HttpReply get(const std::string& target) const {
    return ask(connect_to_path(path()), "GET", target);
  }
  HttpReply post(const std::string& target, const std::string& body = "") const {
    return ask(connect_to_path(path()), "POST", target, body);
  }

  std::string directory_, group_;
  std::string explanation_ = R"({"verdict": "pass-other"})";
  std::optional<ControlServer> server_;
  Result<std::string> reload_result_ = std::string("2 services");
  Result<std::string> command_result_ = std::string(R"({"state": "draining"})");
  std::vector<std::string> words_;
  ExplainRequest asked_;
};

TEST_F(ControlSocket, takes_frames_to_explain) {
  const std::string frame(9014, '\0'); // a jumbo frame, and bytes that are no text
  const HttpReply answer = post("/explain?direction=out", frame);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json::parse(answer.body)["verdict"], "pass-other");
  EXPECT_TRUE(asked_.outgoing);
  EXPECT_EQ(asked_.frame, Frame(frame.begin(), frame.end()));
  EXPECT_EQ(post("/explain", "abc").status, 200);
  EXPECT_FALSE(asked_.outgoing);
}

TEST_F(ControlSocket, answers_status_and_metrics) {
  const HttpReply status = get("/status");
  EXPECT_EQ(status.status, 200);
  EXPECT_THAT(status.head, HasSubstr("Content-Type: application/json\r\n"));
  const HttpReply metrics = get("/metrics");
  EXPECT_EQ(metrics.body, "trap_a 1\n");
  EXPECT_THAT(metrics.head, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_EQ(get("/reload").status, 404); // changes are asked for by POST only
  EXPECT_EQ(get("/elsewhere").status, 404);
}

TEST_F(ControlSocket, says_whether_a_service_is_ready) {
  EXPECT_EQ(get("/ready").status, 200);
  EXPECT_EQ(get("/ready/web").status, 503);
  EXPECT_EQ(get("/ready/web").body, "web\n");
}

TEST_F(ControlSocket, reloads) {
  const HttpReply answer = post("/reload");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json::parse(answer.body), json({{"reloaded", "2 services"}}));
}

TEST_F(ControlSocket, says_what_went_wrong_with_the_fitting_http_status) {
  const std::pair<ExitCode, int> cases[] = {
      {ExitCode::usage, 400}, {ExitCode::not_running, 404}, {ExitCode::failed, 500}};
  for (const auto& [code, http_status] : cases) {
    reload_result_ = Error{"line \"3\" is wrong", code};
    const HttpReply answer = post("/reload");
    EXPECT_EQ(answer.status, http_status);
    EXPECT_EQ(json::parse(answer.body), json({{"error", "line \"3\" is wrong"}}));
  }
}

TEST_F(ControlSocket, a_command_comes_in_words) {
  for (const char* target :
       {"/backends/web/[2001:db8::20]:80/drain", "/backends/web/%5B2001:db8::20%5d:80/drain"}) {
    words_.clear();
    const HttpReply answer = post(target);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(json::parse(answer.body), json({{"state", "draining"}}));
    EXPECT_THAT(words_, ElementsAre("backends", "web", "[2001:db8::20]:80", "drain"));
  }
}

TEST_F(ControlSocket, refuses_a_body_that_is_too_long) {
  EXPECT_EQ(post("/reload", std::string(100000, 'x')).status, 413);
  EXPECT_EQ(post("/reload").status, 200);
}

// Each thread has credentials of its own, as the kernel sees it.
Fd connect_as(uid_t user, gid_t group, const std::string& path) {
  Fd fd;
  std::thread([&] {
    const gid_t groups[] = {group};
    ASSERT_EQ(syscall(SYS_setgroups, 1, groups), 0);
    ASSERT_EQ(syscall(SYS_setresgid, 65534, 65534, 65534), 0);
    ASSERT_EQ(syscall(SYS_setresuid, user, user, user), 0);
    fd = connect_to_path(path);
  }).join();
  return fd;
}

class SharedControlSocket : public ControlSocket {
protected:
  static constexpr uid_t member = 65533;
  static constexpr gid_t group = 64321, other_group = 64322;

  void SetUp() override {
    if (geteuid() != 0)
      GTEST_SKIP() << "this process may not become other users (it is not root)";
    group_ = std::to_string(group);
    ControlSocket::SetUp();
    chmod(directory_.c_str(), 0755);
  }
  HttpReply as_member(const std::string& method, const std::string& target) const {
    return ask(connect_as(member, group, path()), method, target);
  }
};

TEST_F(SharedControlSocket, members_of_the_group_read) {
  struct stat info = {};
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660U);
  EXPECT_EQ(info.st_gid, group);
  EXPECT_EQ(info.st_uid, 0U);
  for (const char* target : {"/status", "/metrics", "/ready"})
    EXPECT_EQ(as_member("GET", target).status, 200) << target;
  for (const char* target : {"/suspects", "/knock/203.0.113.10:80", "/knock/result/1"})
    EXPECT_EQ(as_member("POST", target).status, 200) << target;
}

TEST_F(SharedControlSocket, members_change_nothing) {
  for (const char* target : {"/reload", "/redirects/flush", "/capture/begin/1/drop-uninvited",
                             "/backends/web/203.0.113.10:80/drain", "/enforce", "/confirm",
                             "/monitor", "//suspects", "/suspects/x", "/knock", "/%72eload", "/"}) {
    words_.clear();
    const HttpReply refusal = as_member("POST", target);
    EXPECT_EQ(refusal.status, 403) << target;
    EXPECT_THAT(refusal.body, HasSubstr("root")) << target;
    EXPECT_TRUE(words_.empty()) << target;
  }
  EXPECT_EQ(post("/reload").status, 200);
}

TEST_F(SharedControlSocket, a_member_is_told_no_packet_that_may_hold_a_secret) {
  explanation_ = R"({"verdict": "reply-syn-ack", "answer": "seq=1", "becomes": "ticket=2"})";
  const json told = json::parse(as_member("POST", "/explain").body);
  EXPECT_EQ(told["verdict"], "reply-syn-ack");
  EXPECT_FALSE(told.contains("answer") || told.contains("becomes"));
  EXPECT_TRUE(told.contains("withheld"));
  EXPECT_EQ(json::parse(post("/explain").body)["answer"], "seq=1");
}

TEST_F(SharedControlSocket, others_do_not_get_in) {
  EXPECT_FALSE(connect_as(member, other_group, path()));
}

// One who holds every place keeps root out no longer than the next request of root's.
TEST_F(SharedControlSocket, members_do_not_push_roots_requests_out) {
  const Fd roots = connect_to_path(path());
  std::vector<Fd> held;
  for (int i = 0; i < 200; i++)
    held.push_back(connect_as(member, group, path()));
  EXPECT_EQ(ask(roots, "GET", "/status").status, 200);
}

TEST_F(SharedControlSocket, what_keeps_the_group_out_is_a_problem) {
  EXPECT_EQ(server_->problem(), "");
  chmod(directory_.c_str(), 0700);
  EXPECT_THAT(server_->problem(), HasSubstr("directory " + directory_));
  chmod(directory_.c_str(), 0755);
  chmod(path().c_str(), 0600);
  EXPECT_THAT(server_->problem(), HasSubstr("not open to group 64321"));
}

TEST_F(ControlSocket, a_group_that_does_not_exist_leaves_it_to_root) {
  server_.reset();
  auto server = ControlServer::make(path(), "nosuchgroup", {});
  ASSERT_TRUE(server);
  EXPECT_THAT(server->problem(), HasSubstr("no group \"nosuchgroup\""));
  struct stat info = {};
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(ControlSocket, is_not_taken_from_one_who_listens) {
  auto second = ControlServer::make(path(), "", {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
  EXPECT_EQ(get("/status").status, 200);
}

// Two daemons that start at once over what an earlier run has left.
TEST_F(ControlSocket, is_one_daemons_if_two_start_at_once) {
  constexpr int rounds = 300;
  for (int round = 0; round < rounds; round++) {
    server_.reset();
    {
      const Fd left(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address = {};
      address.sun_family = AF_UNIX;
      path().copy(address.sun_path, sizeof(address.sun_path) - 1);
      ASSERT_EQ(bind(left.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    }
    std::vector<Result<ControlServer>> made;
    std::mutex turn;
    {
      std::vector<std::jthread> starts(2);
      for (std::jthread& start : starts)
        start = std::jthread([&] {
          auto one = ControlServer::make(path(), "", {});
          const std::lock_guard held(turn);
          made.push_back(std::move(one));
        });
    }
    ASSERT_NE(static_cast<bool>(made[0]), static_cast<bool>(made[1])) << "round " << round;
    ASSERT_EQ((made[0] ? made[0] : made[1])->problem(), "") << "round " << round;
  }
}

// A port that nobody uses now, on this address.
std::uint16_t free_port(int family) {
  Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address = {};
  address.sin6_family = static_cast<sa_family_t>(family);
  socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0)
    return 0;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin6_port); // at the same place in both
}

class MetricsListener : public testing::TestWithParam<const char*> {};

TEST_P(MetricsListener, answers_metrics_and_takes_no_commands) {
  std::string host = GetParam();
  auto where = parse_endpoint(host + ":1");
  ASSERT_TRUE(where);
  where->port = free_port(host == "[::1]" ? AF_INET6 : AF_INET);
  if (where->port == 0)
    GTEST_SKIP() << "this host has no addresses of this family";
  const MetricsHandlers handlers = {[] { return std::string("trap_a 1\n"); },
                                    [](const std::string& service) {
                                      return ReadyAnswer{service == "web" ? 503 : 200, service};
                                    }};
  auto server = MetricsServer::make(*where, handlers);
  ASSERT_TRUE(server) << server.error().message;
  const auto get = [&](const char* target) { return ask(connect_to(*where), "GET", target); };
  const HttpReply metrics = get("/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_EQ(metrics.body, "trap_a 1\n");
  EXPECT_THAT(get("/").body, HasSubstr("/metrics"));
  EXPECT_EQ(get("/ready").status, 200);
  EXPECT_EQ(get("/ready/web").status, 503);
  EXPECT_EQ(get("/ready/web").body, "web\n");
  EXPECT_EQ(get("/readyweb").status, 404);
  EXPECT_EQ(ask(connect_to(*where), "POST", "/ready").status, 404);
  EXPECT_EQ(get("/status").status, 404);
  EXPECT_EQ(ask(connect_to(*where), "POST", "/reload").status, 404);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"})
    EXPECT_EQ(ask(connect_to(*where), method, "/metrics").status, 405) << method;
  const HttpReply head = ask(connect_to(*where), "HEAD", "/metrics");
  EXPECT_EQ(head.status, 200);
  EXPECT_THAT(head.head, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(ask(connect_to(*where), "POST", "/metrics", "x").status, 413);

  auto second = MetricsServer::make(*where, handlers);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr(format_endpoint(*where)));
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

INSTANTIATE_TEST_SUITE_P(Families, MetricsListener, testing::Values("127.0.0.1", "[::1]"),
                         [](const auto& family) {
                           return std::string(family.param[0] == '[' ? "IPv6" : "IPv4");
                         });

} // namespace
} // namespace trap::test
