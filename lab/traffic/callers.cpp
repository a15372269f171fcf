// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/callers.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <list>
#include <optional>
#include <string_view>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/hosts/interrupt.h"
#include "lab/hosts/listening.h"
#include "runtime/fd.h"

namespace trap::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view request = "GET /small.txt HTTP/1.1\r\nHost: lab\r\n\r\n";

// It ends with a reset, which leaves no TIME-WAIT behind. Without a descriptor, errno says why.
Fd begin_connection(const sockaddr_storage& to, socklen_t length) {
  Fd fd{socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const linger at_once{1, 0};
  if (fd) {
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    // A failure shows when the socket is polled.
    static_cast<void>(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length));
  }
  return fd;
}

bool is_connected(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

class PacedCallers {
public:
  PacedCallers(const Callee& callee, const Pace& pace)
      : pace_(pace), to_(socket_address(callee.address, callee.port, to_length_)),
        calls_(static_cast<std::size_t>(pace.connections)), start_(Clock::now()) {
    const auto deadline_ms = static_cast<double>(pace.deadline.count());
    std::ranges::fill(calls_, Call{false, false, deadline_ms, deadline_ms});
  }

  Result<std::vector<Call>> run(const std::function<void()>& before_each) {
    while (begun_ < calls_.size() || !open_.empty()) {
      if (interrupted())
        return Error{"interrupted"};
      for (; begun_ < calls_.size() && Clock::now() >= due(); begun_++) {
        if (before_each)
          before_each();
        const Clock::time_point since = Clock::now();
        Fd fd = begin_connection(to_, to_length_);
        if (!fd)
          return Error{"cannot make a socket: " + error_text(errno)};
        open_.push_back({std::move(fd), since, begun_});
      }
      open_.remove_if([&](const Open& one) { return Clock::now() >= one.since + pace_.deadline; });
      wait();
    }
    return std::move(calls_);
  }

private:
  struct Open {
    Fd fd;
    Clock::time_point since;
    std::size_t number;
  };

  [[nodiscard]] Clock::time_point due() const { return start_ + pace_.interval * begun_; }

  void wait() {
    std::vector<pollfd> ends;
    for (const Open& one : open_)
      ends.push_back(
          {one.fd.get(), static_cast<short>(calls_[one.number].connected ? POLLIN : POLLOUT), 0});
    Clock::time_point next = begun_ < calls_.size() ? due() : Clock::time_point::max();
    if (!open_.empty())
      next = std::min(next, open_.front().since + pace_.deadline);
    if (next == Clock::time_point::max())
      return;
    const auto left = std::max(Clock::duration::zero(), next - Clock::now());
    const timespec limit{std::chrono::duration_cast<std::chrono::seconds>(left).count(),
                         (left % std::chrono::seconds{1}).count()};
    if (ppoll(ends.data(), ends.size(), &limit, nullptr) > 0)
      take(ends);
  }

  void take(const std::vector<pollfd>& ends) {
    auto end = ends.begin();
    open_.remove_if([&](const Open& one) { return (end++)->revents != 0 && !goes_on(one); });
  }

  // False at the connection's end, good or bad.
  bool goes_on(const Open& one) {
    Call& call = calls_[one.number];
    const double now_ms =
        std::chrono::duration<double, std::milli>(Clock::now() - one.since).count();
    if (!call.connected) {
      if (!is_connected(one.fd.get()))
        return false;
      call.connected = true;
      call.connect_ms = now_ms;
      return send(one.fd.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0;
    }
    char byte = 0;
    if (recv(one.fd.get(), &byte, 1, 0) == 1) {
      call.answered = true;
      call.first_byte_ms = now_ms;
    }
    return false;
  }

  const Pace& pace_;
  socklen_t to_length_ = 0;
  const sockaddr_storage to_;
  std::vector<Call> calls_;
  std::size_t begun_ = 0;
  const Clock::time_point start_;
  std::list<Open> open_;
};

// The length of a whole response at the beginning of `text`, if it is there.
std::optional<std::size_t> response_length(std::string_view text) {
  constexpr std::string_view field = "Content-Length: ";
  const std::size_t header = text.find("\r\n\r\n"), length = text.find(field);
  if (header == std::string_view::npos || length > header)
    return {};
  std::size_t body = 0;
  std::from_chars(text.data() + length + field.size(), text.data() + header, body);
  const std::size_t whole = header + 4 + body;
  return text.size() >= whole ? std::optional{whole} : std::nullopt;
}

// One connection of the load.
class Visitor {
public:
  Visitor(const sockaddr_storage& to, socklen_t length) : to_(to), to_length_(length) {}

  bool open(int epoll, std::size_t number) {
    fd_ = begin_connection(to_, to_length_);
    text_.clear();
    epoll_event event{};
    event.events = EPOLLOUT | EPOLLIN | EPOLLET;
    event.data.u64 = number;
    asked_ = false;
    return fd_ && epoll_ctl(epoll, EPOLL_CTL_ADD, fd_.get(), &event) == 0;
  }

  // False if the connection ended. `responses` counts those that are whole.
  bool go_on(std::uint64_t& responses) {
    if (!asked_ && (!is_connected(fd_.get()) || !ask()))
      return false;
    for (char some[2048];;) {
      const ssize_t bytes = recv(fd_.get(), some, sizeof some, 0);
      if (bytes < 0)
        return errno == EAGAIN;
      if (bytes == 0)
        return false;
      text_.append(some, static_cast<std::size_t>(bytes));
      if (const auto length = response_length(text_)) {
        text_.erase(0, *length);
        responses++;
        if (!ask())
          return false;
      }
    }
  }

private:
  bool ask() {
    asked_ = send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0;
    return asked_ || errno == EAGAIN || errno == ENOTCONN;
  }

  const sockaddr_storage& to_;
  socklen_t to_length_;
  Fd fd_;
  std::string text_;
  bool asked_ = false;
};

} // namespace

Result<std::vector<Call>> call_at_pace(const Host& client, const Callee& callee, const Pace& pace,
                                       const std::function<void()>& before_each) {
  const InHost inside{client};
  if (!inside.entered())
    return Error{"cannot enter " + client.name()};
  return PacedCallers{callee, pace}.run(before_each);
}

Result<double> requests_per_second(const Host& client, const Callee& callee, const Load& load) {
  const InHost inside{client};
  const Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  if (!inside.entered() || !epoll)
    return Error{"cannot make connections in " + client.name() + ": " + error_text(errno)};
  socklen_t length = 0;
  const sockaddr_storage to = socket_address(callee.address, callee.port, length);
  std::vector<Visitor> visitors;
  for (int i = 0; i < load.connections; i++)
    visitors.emplace_back(to, length);
  for (std::size_t i = 0; i < visitors.size(); i++)
    if (!visitors[i].open(epoll.get(), i))
      return Error{"cannot make a socket: " + error_text(errno)};
  std::uint64_t responses = 0, before_window = 0;
  const Clock::time_point begin = Clock::now() + load.warm_up, end = begin + load.window;
  for (bool counting = false; Clock::now() < end;) {
    if (interrupted())
      return Error{"interrupted"};
    if (!counting && Clock::now() >= begin) {
      before_window = responses;
      counting = true;
    }
    epoll_event events[64];
    const int ready = epoll_wait(epoll.get(), events, 64, 20);
    for (int i = 0; i < ready; i++) {
      Visitor& visitor = visitors[events[i].data.u64];
      if (!visitor.go_on(responses) && !visitor.open(epoll.get(), events[i].data.u64))
        return Error{"cannot make a socket: " + error_text(errno)};
    }
  }
  return static_cast<double>(responses - before_window) /
         std::chrono::duration<double>(load.window).count();
}

} // namespace trap::lab
