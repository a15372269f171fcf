// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/control_client.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <vector>

#include <fmt/core.h>

#include "runtime/fd.h"

namespace trap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int default_timeout_s = 5;
// A reload may read a hundred thousand prefixes, and the first explanation has the kernel verify a
// second copy of the programs.
constexpr int long_timeout_s = 60;
constexpr std::size_t answer_max_bytes = 256 << 20;

timeval left_until(Clock::time_point until) {
  const auto left =
      std::max<long>(1, std::chrono::ceil<std::chrono::microseconds>(until - Clock::now()).count());
  return {left / 1000000, left % 1000000};
}

// Sends `request` and reads the answer to its end, all of it before `until`. 0 or an errno value,
// ETIMEDOUT in place of EAGAIN.
int converse(const Fd& fd, std::string_view request, Clock::time_point until, std::string& answer) {
  char bytes[65536];
  for (;;) {
    const timeval left = left_until(until);
    if (Clock::now() >= until)
      return ETIMEDOUT;
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left));
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &left, sizeof(left));
    const ssize_t moved = request.empty()
                              ? recv(fd.get(), bytes, sizeof(bytes), 0)
                              : send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    if (moved < 0 && errno != EINTR)
      return errno == EAGAIN || errno == EWOULDBLOCK ? ETIMEDOUT : errno;
    if (moved == 0)
      return 0;
    if (moved > 0 && request.empty())
      answer.append(bytes, static_cast<std::size_t>(moved));
    else if (moved > 0)
      request.remove_prefix(static_cast<std::size_t>(moved));
    if (answer.size() > answer_max_bytes)
      return EMSGSIZE;
  }
}

// 0 or an errno value; ETIMEDOUT if the daemon accepts no client. A Unix socket's connect() waits
// as long as SO_SNDTIMEO says.
int connect_to(const std::string& path, Clock::time_point until, Fd& fd) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  fd = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd)
    return errno;
  const timeval left = left_until(until);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
    return 0;
  return errno == EAGAIN ? ETIMEDOUT : errno;
}

// A status line, header fields, and the body to the end: the daemon closes after each answer. Empty
// if it is not whole.
std::optional<ControlAnswer> read_answer(const std::string& bytes) {
  constexpr std::string_view version = "HTTP/1.1 ";
  ControlAnswer answer;
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with(version) || head_end == std::string::npos)
    return std::nullopt;
  const char* const status = bytes.data() + version.size();
  if (std::from_chars(status, bytes.data() + head_end, answer.http_status).ec != std::errc())
    return std::nullopt;
  answer.body = bytes.substr(head_end + 4);
  const std::string length = fmt::format("\r\nContent-Length: {}\r\n", answer.body.size());
  if (bytes.substr(0, head_end + 2).find(length) == std::string::npos)
    return std::nullopt;
  return answer;
}

// For a user who is kept out. The socket's own group may read, where a group may at all.
std::string way_in(const std::string& socket_path) {
  struct stat info;
  if (stat(socket_path.c_str(), &info) != 0 || !(info.st_mode & S_IWGRP))
    return "run as root, or have control_group in the part's configuration name a group of yours";
  struct group entry = {};
  struct group* found = nullptr;
  std::vector<char> room(65536);
  getgrgid_r(info.st_gid, &entry, room.data(), room.size(), &found);
  return fmt::format("run as root, or as a member of group {}",
                     found ? found->gr_name : std::to_string(info.st_gid));
}

Result<std::optional<ControlAnswer>> ask(const std::string& socket_path, const std::string& request,
                                         int timeout_s) {
  const auto until = Clock::now() + std::chrono::seconds(timeout_s);
  const auto failed = [&](int error, const char* what) {
    if (error == ETIMEDOUT)
      return Error{fmt::format("control socket {}: the daemon did not answer within {} s: it is "
                               "stopped, or busy: look at its log",
                               socket_path, timeout_s)};
    return Error{fmt::format("control socket {}: {}: {}{}", socket_path, what, error_text(error),
                             error == EACCES ? ": " + way_in(socket_path) : "")};
  };
  Fd fd;
  std::string bytes;
  int error = connect_to(socket_path, until, fd);
  if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
    return std::optional<ControlAnswer>();
  if (error)
    return failed(error, "cannot connect");
  error = converse(fd, request, until, bytes);
  if (error)
    return failed(error, "no answer");
  auto answer = read_answer(bytes);
  if (!answer)
    return Error{fmt::format("control socket {}: no answer: the connection ended early: is the "
                             "daemon of this version?",
                             socket_path)};
  return answer;
}

} // namespace

Result<std::optional<ControlAnswer>> control_get(const std::string& socket_path,
                                                 const std::string& path) {
  return ask(socket_path, fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path),
             default_timeout_s);
}

Result<std::optional<ControlAnswer>>
control_post(const std::string& socket_path, const std::string& path, const std::string& body) {
  const bool takes_long = path == "/reload" || path.starts_with("/explain");
  if (takes_long) { // a daemon that does not answer at all is found at once
    auto status = control_get(socket_path, "/status");
    if (!status || !*status)
      return status;
  }
  return ask(socket_path,
             fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n{}",
                         path, body.size(), body),
             takes_long ? long_timeout_s : default_timeout_s);
}

} // namespace trap
