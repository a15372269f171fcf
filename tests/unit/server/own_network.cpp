// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/server/own_network.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sstream>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <vector>

namespace trap::test {
namespace {

bool bring_loopback_up() {
  const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
  return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;)
    words.push_back(word);
  return words;
}

struct SocketAddress {
  sockaddr_in6 v6 = {};
  sockaddr_in v4 = {};
  bool is_v4;

  explicit SocketAddress(const Endpoint& endpoint)
      : is_v4(family_of(endpoint.address) == TRAP_IPV4) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    v4.sin_addr.s_addr = endpoint.address.be32[3];
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.bytes, 16);
  }
  sockaddr* get() {
    return is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
  }
  socklen_t bytes() const { return is_v4 ? sizeof(v4) : sizeof(v6); }
  std::uint16_t port() const { return ntohs(is_v4 ? v4.sin_port : v6.sin6_port); }
};

} // namespace

void OwnNetwork::SetUp() {
  if (unshare(CLONE_NEWNET) != 0)
    GTEST_SKIP() << "this process may not make a network namespace (are you root?): "
                 << std::strerror(errno);
  ASSERT_TRUE(bring_loopback_up()) << std::strerror(errno);
}

void OwnNetwork::set(const std::string& name, int value) {
  std::ofstream file("/proc/sys/net/ipv4/" + name);
  file << value << std::flush;
  ASSERT_TRUE(file.good()) << name;
}

long OwnNetwork::tcp_ext(const std::string& name) {
  std::ifstream file("/proc/self/net/netstat");
  std::string names;
  std::string values;
  while (std::getline(file, names) && std::getline(file, values)) {
    const auto name_words = words_of(names);
    const auto value_words = words_of(values);
    for (std::size_t i = 1; i < name_words.size() && name_words[0] == "TcpExt:"; i++) {
      if (name_words[i] == name)
        return std::stol(value_words.at(i));
    }
  }
  ADD_FAILURE() << "no counter TcpExt" << name;
  return -1;
}

Fd OwnNetwork::listen_at(Endpoint& at, int backlog) {
  SocketAddress address(at);
  Fd fd(socket(address.is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  socklen_t bytes = address.bytes();
  EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
  EXPECT_EQ(bind(fd.get(), address.get(), bytes), 0) << std::strerror(errno);
  EXPECT_EQ(listen(fd.get(), backlog), 0) << std::strerror(errno);
  EXPECT_EQ(getsockname(fd.get(), address.get(), &bytes), 0);
  at.port = address.port();
  return fd;
}

Fd OwnNetwork::connection_to(const Endpoint& listener) {
  SocketAddress address(listener);
  Fd fd(socket(address.is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), address.get(), address.bytes()), 0) << std::strerror(errno);
  return fd;
}

int OwnNetwork::accepted(const Fd& listener) {
  int count = 0;
  while (Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)))
    count++;
  EXPECT_EQ(errno, EAGAIN);
  return count;
}

Endpoint OwnNetwork::loopback(int family) {
  return {*parse_address(family == 4 ? "127.0.0.1" : "::1"), 0};
}

} // namespace trap::test
