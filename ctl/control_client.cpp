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

constexpr int kTimeoutS = 5;

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
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
}

} // namespace

Result<std::optional<std::string>> fetch_status(const std::string& socket_path) {
  int failed = try_connect(socket_path);
  if (failed == ENOENT || failed == ECONNREFUSED || failed == ENOTDIR)
    return std::optional<std::string>();
  if (failed)
    return Error{
        fmt::format("control socket {}: cannot connect: {}{}", socket_path, error_text(failed), failed == EACCES ? ": run as root" : "")};
  httplib::Client client(socket_path);
  client.set_address_family(AF_UNIX);
  client.set_read_timeout(kTimeoutS);
  auto response = client.Get("/status");
  if (!response)
    return Error{fmt::format("control socket {}: no answer: {}", socket_path, httplib::to_string(response.error()))};
  if (response->status != 200)
    return Error{fmt::format("control socket {}: answered with HTTP status {}", socket_path, response->status)};
  return std::optional<std::string>(response->body);
}

} // namespace trap::ctl
