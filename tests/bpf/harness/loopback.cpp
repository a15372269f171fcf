// SPDX-License-Identifier: Apache-2.0
// Sockets for tests, through system calls.
#include "tests/bpf/harness/loopback.h"

#include <arpa/inet.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace trap::test {
namespace {

constexpr int wait_s = 5;

void require(bool worked, const std::string& what) {
  if (!worked)
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::string present_network() {
  return std::filesystem::read_symlink("/proc/self/ns/net");
}

std::string& own_network() {
  static std::string name;
  return name;
}

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The role "here" of tests/vectors/test_constants.py.
constexpr char own_ipv4[] = "198.18.0.10", own_ipv6[] = "2001:db8:18::10";

SocketAddress own_address(int family, int port) {
  SocketAddress address;
  if (family == 4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, own_ipv4, &v4->sin_addr);
    address.size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET6, own_ipv6, &v6->sin6_addr);
    address.size = sizeof *v6;
  }
  return address;
}

// The kernel checks a new IPv6 address in a work item of its own (addrconf_dad_work), also on
// loopback, which has nothing to check. Until then the address is tentative and bind() refuses it.
void wait_until_usable(const SocketAddress& address) {
  const Socket probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(wait_s);
  while (bind(probe.fd(), address.get(), address.size) != 0) {
    require(errno == EADDRNOTAVAIL && std::chrono::steady_clock::now() < end,
            "wait for lo's IPv6 address");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Calls on it fail after wait_s instead of waiting for ever.
Socket stream(int family) {
  Socket socket(::socket(family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0),
                "socket");
  const timeval limit = {.tv_sec = wait_s, .tv_usec = 0};
  const int on = 1;
  require(setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0,
          "SO_RCVTIMEO");
  require(setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0,
          "SO_SNDTIMEO");
  require(setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, "SO_REUSEADDR");
  return socket;
}

} // namespace

Socket::Socket(int fd, const std::string& what) : fd_(fd) {
  require(fd >= 0, what);
}

void Socket::reset() {
  if (fd_ >= 0)
    close(fd_);
  fd_ = -1;
}

void enter_own_network() {
  require(unshare(CLONE_NEWNET) == 0, "make a network namespace");
  own_network() = present_network();
}

void bring_loopback_up() {
  const Socket socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  require(ioctl(socket.fd(), SIOCSIFFLAGS, &request) == 0, "bring lo up");
  std::strcpy(request.ifr_name, "lo:1");
  const SocketAddress ipv4 = own_address(4, 0);
  std::memcpy(&request.ifr_addr, ipv4.get(), ipv4.size);
  require(ioctl(socket.fd(), SIOCSIFADDR, &request) == 0, "give lo an IPv4 address");
  const Socket socket6(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  in6_ifreq request6 = {};
  inet_pton(AF_INET6, own_ipv6, &request6.ifr6_addr);
  request6.ifr6_prefixlen = 128;
  request6.ifr6_ifindex = static_cast<int>(if_nametoindex("lo"));
  require(ioctl(socket6.fd(), SIOCSIFADDR, &request6) == 0 || errno == EEXIST,
          "give lo an IPv6 address");
  wait_until_usable(own_address(6, 0));
}

void set_tcp_sysctl(const std::string& name, int value) {
  if (own_network() != present_network())
    throw std::runtime_error("not in a network namespace of its own: " + name + " stays as it is");
  std::ofstream file("/proc/sys/net/ipv4/" + name);
  file << value << std::flush;
  require(file.good(), "write net.ipv4." + name);
}

Socket listen_on(int family, int port, bool defers) {
  Socket listener = stream(family);
  const SocketAddress address = own_address(family, port);
  const int seconds = wait_s;
  require(bind(listener.fd(), address.get(), address.size) == 0, "bind a listener");
  require(!defers || setsockopt(listener.fd(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
                                sizeof seconds) == 0,
          "TCP_DEFER_ACCEPT");
  require(listen(listener.fd(), 64) == 0, "listen");
  return listener;
}

Socket connect_from(int family, int local_port, int port) {
  Socket client = stream(family);
  const SocketAddress local = own_address(family, local_port);
  const SocketAddress remote = own_address(family, port);
  require(bind(client.fd(), local.get(), local.size) == 0, "bind a client");
  require(connect(client.fd(), remote.get(), remote.size) == 0, "connect");
  return client;
}

Socket accept_from(const Socket& listener) {
  return {accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC), "accept"};
}

void inject(int family, const Bytes& ip_packet) {
  const Socket raw(socket(family == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW),
                   "raw socket");
  const SocketAddress to = own_address(family, 0);
  require(sendto(raw.fd(), ip_packet.data(), ip_packet.size(), 0, to.get(), to.size) ==
              static_cast<ssize_t>(ip_packet.size()),
          "send a raw packet");
}

} // namespace trap::test
