// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/greeter.h"

#include <cerrno>
#include <chrono>

#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/listening.h"
#include "lab/hosts/process.h"
#include "lab/network/topology.h"

namespace trap::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int nginx_backlog = 511;
constexpr timeval response_timeout{5, 0};

struct Target {
  sockaddr_storage address{};
  socklen_t length = 0;

  Target(std::string_view text, int port) { address = lab::socket_address(text, port, length); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

// It ends with a reset, which leaves no TIME_WAIT behind.
Result<Fd> client_socket(const Target& target, int type) {
  Fd fd{socket(target.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | type, 0)};
  const linger at_once{1, 0};
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0)
    return Error{"cannot make a socket: " + error_text(errno)};
  return fd;
}

double ms_since(Clock::time_point moment) {
  return std::chrono::duration<double, std::milli>(Clock::now() - moment).count();
}

} // namespace

Result<std::unique_ptr<Greeter>> Greeter::start(const lab::Host& host, int port) {
  const lab::InHost inside{host};
  Fd listener{socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int off = 0, on = 1;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<std::uint16_t>(port));
  // A worker of the nginx that was there before may hold the port a moment longer than its master.
  const auto bound = [&] {
    int cause = 0;
    lab::becomes([&] {
      const auto* any = reinterpret_cast<const sockaddr*>(&address);
      cause = bind(listener.get(), any, sizeof address) == 0 ? 0 : errno;
      return cause != EADDRINUSE;
    });
    errno = cause;
    return cause == 0;
  };
  if (!inside.entered() ||
      setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
      setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || !bound() ||
      listen(listener.get(), nginx_backlog) != 0)
    return Error{
        fmt::format("no listener on {}, port {}: {}", host.name(), port, error_text(errno))};
  return std::unique_ptr<Greeter>{new Greeter(std::move(listener))};
}

Greeter::Greeter(Fd listener) : listener_(std::move(listener)), thread_([this] { serve(); }) {}

// shutdown() of a listener ends the accept() that waits on it.
Greeter::~Greeter() {
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

void Greeter::serve() const {
  for (;;) {
    const Fd connection{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!connection && (errno == EINVAL || errno == EBADF))
      return;
    send(connection.get(), "!", 1, MSG_NOSIGNAL);
  }
}

Result<double> time_greeting(std::string_view address, int port) {
  const Target target{address, port};
  const auto made = client_socket(target, 0);
  if (!made)
    return made.error();
  const int fd = made->get();
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &response_timeout, sizeof response_timeout);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &response_timeout, sizeof response_timeout);
  char byte = 0;
  const auto start = Clock::now();
  if (connect(fd, target.get(), target.length) != 0 || recv(fd, &byte, 1, 0) != 1)
    return Error{
        fmt::format("no response from {}: {}", lab::endpoint(address, port), error_text(errno))};
  return ms_since(start) * 1000;
}

} // namespace trap::bench
