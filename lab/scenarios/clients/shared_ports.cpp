// SPDX-License-Identifier: Apache-2.0
// Thousands of connections from the same local ports to two services with one backend, and to that
// backend itself: each is a connection of its own.
#include <algorithm>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lab/hosts/listening.h"
#include "lab/scenarios/scenario.h"
#include "runtime/fd.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int twin_port = 81; // of the second service
constexpr int crowd = 3000;
constexpr int at_once = 250; // connects under way: the backend's queue holds them
constexpr int bound_port = 40000;
constexpr milliseconds patience{10000};

// Waits with short naps until `done` says so.
bool within_patience(const auto& done) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(milliseconds{1});
  }
  return true;
}

// A TCP socket in a host, which stays there.
Fd make_socket(const Host& host, Family family) {
  const InHost inside{host};
  Fd fd{socket(family == Family::ipv4 ? AF_INET : AF_INET6,
               SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const int on = 1;
  if (inside.entered() && fd)
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd;
}

bool bind_to(const Fd& fd, std::string_view address, int port) {
  socklen_t length = 0;
  const sockaddr_storage here = socket_address(address, port, length);
  return bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), length) == 0;
}

int port_of(const Fd& fd) {
  sockaddr_storage here{};
  socklen_t length = sizeof here;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&here), &length);
  return ntohs(here.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(here).sin_port
                                         : reinterpret_cast<sockaddr_in6&>(here).sin6_port);
}

// Both ends of the connections of one family: the client's sockets, and those that the service's
// host accepted.
class Conversation {
public:
  Conversation(Scene& scene, Family family)
      : scene_(&scene), family_(family), listener_(make_socket(scene.host("service"), family)) {}

  bool listen_at_service() {
    return listener_ && within_patience([&] { // nginx may still be on its way out
             return bind_to(listener_, addresses_of("service").address(family_), service_port);
           }) &&
           listen(listener_.get(), 2 * at_once) == 0;
  }

  // `count` more connections to host's address and port, of `source_port` if it is not 0. Returns
  // how many were established.
  int open(std::string_view host, int port, int count, int source_port = 0) {
    int established = 0;
    for (int begun = 0; begun < count; begun += at_once)
      established += open_some(host, port, std::min(at_once, count - begun), source_port);
    return established;
  }

  // Sends each connection's number, has it sent back, and counts the right ones.
  int right_echoes() {
    for (std::uint32_t number = 0; number < clients_.size(); number++)
      send(clients_[number].get(), &number, sizeof number, MSG_NOSIGNAL);
    std::set<std::size_t> right;
    within_patience([&] {
      echo();
      for (std::uint32_t number = 0, got = 0; number < clients_.size(); number++)
        if (recv(clients_[number].get(), &got, sizeof got, 0) == sizeof got && got == number)
          right.insert(number);
      return right.size() == clients_.size();
    });
    return static_cast<int>(right.size());
  }

  [[nodiscard]] int size() const { return static_cast<int>(clients_.size()); }

  // Local ports that more than one connection has.
  [[nodiscard]] int shared_ports() const {
    std::multiset<int> ports;
    for (const Fd& fd : clients_)
      ports.insert(port_of(fd));
    return static_cast<int>(std::ranges::count_if(std::set<int>(ports.begin(), ports.end()),
                                                  [&](int port) { return ports.count(port) > 1; }));
  }

  void close_all() {
    clients_.clear();
    served_.clear();
  }

private:
  int open_some(std::string_view host, int port, int count, int source_port) {
    socklen_t length = 0;
    const sockaddr_storage to = socket_address(addresses_of(host).address(family_), port, length);
    const std::string_view any = family_ == Family::ipv4 ? "0.0.0.0" : "::";
    std::set<int> waiting;
    for (int i = 0; i < count; i++) {
      Fd fd = make_socket(scene_->host("client"), family_);
      if (!fd || (source_port != 0 && !bind_to(fd, any, source_port)))
        continue;
      if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) == 0 ||
          errno == EINPROGRESS)
        waiting.insert(fd.get());
      clients_.push_back(std::move(fd));
    }
    int established = 0;
    within_patience([&] {
      accept_all();
      std::erase_if(waiting, [&](int fd) {
        pollfd ready{fd, POLLOUT, 0};
        if (poll(&ready, 1, 0) != 1)
          return false;
        established += (ready.revents & (POLLERR | POLLHUP)) == 0 ? 1 : 0;
        return true;
      });
      return waiting.empty();
    });
    return established;
  }

  void accept_all() {
    for (;;) {
      Fd fd{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (!fd)
        return;
      served_.push_back(std::move(fd));
    }
  }

  void echo() {
    accept_all();
    char bytes[64];
    for (const Fd& fd : served_)
      if (const ssize_t got = recv(fd.get(), bytes, sizeof bytes, 0); got > 0)
        send(fd.get(), bytes, static_cast<std::size_t>(got), MSG_NOSIGNAL);
  }

  Scene* scene_;
  Family family_;
  Fd listener_;
  std::vector<Fd> clients_, served_;
};

void limit_ports(Scene& scene, std::string_view range) {
  scene.done(scene.host("client").set("ipv4/ip_local_port_range", range),
             fmt::format("the client's host has the local ports {}", range));
}

// `count` connections to each of the two services, and then all of them speak.
void expect_each(Scene& scene, Conversation& conversation, int count, const std::string& who) {
  const int first = conversation.open("trap", service_port, count);
  const int second = conversation.open("trap", twin_port, count);
  scene.check(first == count && second == count,
              fmt::format("{}: {} connections to each of two services", who, count),
              fmt::format("{} and {} are established", first, second));
  scene.check(conversation.shared_ports() > count / 2, who + ": most from the same local ports",
              fmt::format("{} ports have two", conversation.shared_ports()));
  const int right = conversation.right_echoes();
  scene.check(right == conversation.size(), who + ": every one is answered by its own end",
              fmt::format("{} of {}", right, conversation.size()));
  conversation.close_all();
}

void expect_bound(Scene& scene, Conversation& conversation, const std::string& who) {
  const int established = conversation.open("trap", service_port, 1, bound_port) +
                          conversation.open("trap", twin_port, 1, bound_port) +
                          conversation.open("service", service_port, 1, bound_port);
  scene.check(established == 3 && conversation.shared_ports() == 1 &&
                  conversation.right_echoes() == 3,
              fmt::format("{}: port {} bound to two services and their backend", who, bound_port),
              fmt::format("{} are established", established));
  conversation.close_all();
}

void shared_ports(Scene& scene) {
  const rlimit files{8 * crowd, 8 * crowd};
  setrlimit(RLIMIT_NOFILE, &files);
  scene.trap().stop_nginx("service");
  for (const Family family : families) {
    const std::string who{name_of(family)};
    Conversation conversation{scene, family};
    if (!scene.check(conversation.listen_at_service(), who + ": the service echoes",
                     error_text(errno)))
      return;
    limit_ports(scene, "44000 47199");
    expect_each(scene, conversation, crowd, who);
    limit_ports(scene, "50000 50063");
    expect_each(scene, conversation, 60, who + ", 64 local ports");
    expect_bound(scene, conversation, who);
  }
}

// A second service with the same backend.
std::string twin_service() {
  std::string text = fmt::format("[[service]]\nname = \"twin\"\naddresses = [\"{}\", \"{}\"]\n"
                                 "unaware = \"reset\"\n",
                                 endpoint(addresses_of("trap").ipv4, twin_port),
                                 endpoint(addresses_of("trap").ipv6, twin_port));
  for (const Family family : families)
    text += fmt::format("[[service.backend]]\naddress = \"{}\"\nguard = \"{}\"\n",
                        endpoint(addresses_of("service").address(family), service_port),
                        guard_of("service"));
  return text;
}

const Registration register_shared_ports{{
    .name = "shared-ports",
    .goal = "one local port towards several services with one backend is as many connections",
    .plan = {.server_keys = twin_service()},
    .play = shared_ports,
}};

} // namespace
} // namespace trap::lab
