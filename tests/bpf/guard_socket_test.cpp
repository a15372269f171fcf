// SPDX-License-Identifier: Apache-2.0
// The guard and the host's own sockets: a connection that exists passes without any entry of ours, a listener lets nobody in. And the
// flag without which nobody is trusted.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "dataplane/verdict.h"
#include "guard/maps.h"
#include "tests/bpf/rig.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

class Socket {
public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

private:
  int fd_;
};

class GuardAndSockets : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0); // nobody else's sockets
    bring_loopback_up();
    const Rig& rig = part_under_test();
    guard_ = rig.load(false, true);
    rig.configure(*guard_, world_);
    rig.set_time(*guard_, world_, world_.moment("now"));
  }

  // The loopback device of this process's own network namespace.
  static void bring_loopback_up() {
    const Socket socket(::socket(AF_INET, SOCK_DGRAM, 0));
    ifreq request = {};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ASSERT_EQ(ioctl(socket.fd(), SIOCSIFFLAGS, &request), 0);
  }

  sockaddr_storage loopback(int port, socklen_t& size) const {
    sockaddr_storage storage = {};
    if (GetParam() == 4) {
      auto* address = reinterpret_cast<sockaddr_in*>(&storage);
      *address = {
          .sin_family = AF_INET, .sin_port = htons(static_cast<std::uint16_t>(port)), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
      size = sizeof *address;
    } else {
      auto* address = reinterpret_cast<sockaddr_in6*>(&storage);
      address->sin6_family = AF_INET6;
      address->sin6_port = htons(static_cast<std::uint16_t>(port));
      address->sin6_addr = in6addr_loopback;
      size = sizeof *address;
    }
    return storage;
  }

  // What the guard makes of a segment from 127.0.0.1:port or [::1]:port to port 80.
  std::uint64_t counted(trap_verdict verdict, int port, const std::string& flags) {
    const std::uint64_t before = guard_->counters(1)[verdict];
    const Json packet = {{"ip", {{"src", "loopback"}, {"dst", "loopback"}}}, {"tcp", {{"sport", port}, {"flags", flags}}}};
    guard_->run("trap_guard", build_packet(packet, GetParam(), world_));
    return guard_->counters(1)[verdict] - before;
  }

  const World world_;
  std::unique_ptr<Object> guard_;
};

TEST_P(GuardAndSockets, a_listener_lets_nobody_in_and_a_connection_passes) {
  const int domain = GetParam() == 4 ? AF_INET : AF_INET6;
  const Socket listener(socket(domain, SOCK_STREAM, 0));
  socklen_t size = 0;
  sockaddr_storage service = loopback(80, size);
  const int yes = 1; // connections of other tests may linger at the port
  ASSERT_EQ(setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
  ASSERT_EQ(bind(listener.fd(), reinterpret_cast<sockaddr*>(&service), size), 0);
  ASSERT_EQ(listen(listener.fd(), 8), 0);
  for (const char* const flags : {"A", "SA", "R", "RA", "FA"})
    EXPECT_EQ(counted(TRAP_DROP_NO_FLOW, 40000, flags), 1u) << flags;
  EXPECT_EQ(counted(TRAP_DROP_UNINVITED, 40000, "S"), 1u);

  const Socket client(socket(domain, SOCK_STREAM, 0));
  sockaddr_storage local = loopback(40000, size);
  ASSERT_EQ(bind(client.fd(), reinterpret_cast<sockaddr*>(&local), size), 0);
  ASSERT_EQ(connect(client.fd(), reinterpret_cast<sockaddr*>(&service), size), 0);
  const Socket accepted(accept(listener.fd(), nullptr, nullptr));
  ASSERT_GE(accepted.fd(), 0);
  EXPECT_EQ(counted(TRAP_PASS_SOCKET, 40000, "A"), 1u);
  EXPECT_EQ(counted(TRAP_PASS_FLOW, 40000, "PA"), 1u) << "the socket's flow was not remembered";
  EXPECT_EQ(counted(TRAP_DROP_NO_FLOW, 40001, "A"), 1u);
}

TEST_P(GuardAndSockets, nobody_is_trusted_without_the_flag) {
  const std::uint32_t zero = 0;
  auto settings = guard_->get<trap_guard_settings>("settings", zero);
  const Json packet = {{"ip", {{"src", GetParam() == 4 ? "10.9.0.1" : "fd00:9::1"}, {"dst", "backend"}}}, {"tcp", {{"flags", "S"}}}};
  for (const bool trusts : {true, false, true}) {
    settings.flags = trusts ? TRAP_GUARD_TRUSTS : 0;
    guard_->put("settings", zero, settings);
    const trap_verdict verdict = trusts ? TRAP_PASS_TRUSTED : TRAP_DROP_UNINVITED;
    const std::uint64_t before = guard_->counters(1)[verdict];
    guard_->run("trap_guard", build_packet(packet, GetParam(), world_));
    EXPECT_EQ(guard_->counters(1)[verdict] - before, 1u) << trusts;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GuardAndSockets, testing::Values(4, 6),
                         [](const auto& family) { return "ipv" + std::to_string(family.param); });

} // namespace
} // namespace trap::test
