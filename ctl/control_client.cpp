// SPDX-License-Identifier: Apache-2.0
#include "ctl/control_client.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include <fmt/core.h>
#include <httplib.h>

#include "runtime/fd.h"

namespace trap::ctl {
namespace {

constexpr int kGetTimeoutS = 5;
constexpr int kPostTimeoutS = 60; // a reload may read a hundred thousand prefixes

// 0 or an errno value: HTTP libraries do not tell "no such socket" from "not allowed".
int try_connect(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd)
    return errno;
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0
             ? 0
             : errno;
}

// Asks with `ask`, if a daemon listens.
template <class Ask>
Result<std::optional<ControlAnswer>> converse(const std::string& socket_path, int timeout_s,
                                              Ask ask) {
  int failed = try_connect(socket_path);
  if (failed == ENOENT || failed == ECONNREFUSED || failed == ENOTDIR)
    return std::optional<ControlAnswer>();
  if (failed)
    return Error{fmt::format("control socket {}: cannot connect: {}{}", socket_path,
                             error_text(failed), failed == EACCES ? ": run as root" : "")};
  httplib::Client client(socket_path);
  client.set_address_family(AF_UNIX);
  client.set_read_timeout(timeout_s);
  auto response = ask(client);
  if (!response)
    return Error{fmt::format("control socket {}: no answer: {}", socket_path,
                             httplib::to_string(response.error()))};
  return std::optional(ControlAnswer{response->status, response->body});
}

} // namespace

Result<std::optional<ControlAnswer>> control_get(const std::string& socket_path,
                                                 const std::string& path) {
  return converse(socket_path, kGetTimeoutS,
                  [&](httplib::Client& client) { return client.Get(path); });
}

Result<std::optional<ControlAnswer>>
control_post(const std::string& socket_path, const std::string& path, const std::string& body) {
  return converse(socket_path, kPostTimeoutS, [&](httplib::Client& client) {
    return client.Post(path, body, "application/octet-stream");
  });
}

} // namespace trap::ctl
