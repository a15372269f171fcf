// SPDX-License-Identifier: Apache-2.0
#include "ctl/knock/knock_service.h"

#include <memory>

#include <netdb.h>
#include <sys/socket.h>

#include <fmt/core.h>

namespace trap::ctl {

Result<Endpoint> find_service(const std::string& text) {
  auto written = parse_endpoint(text);
  const auto colon = text.rfind(':');
  // Digits, dots and brackets are an address that was mistyped, and no name.
  if (written || colon == std::string::npos || colon == 0 ||
      text.find_first_not_of("0123456789.:[]") >= colon)
    return written;
  const std::string name = text.substr(0, colon), port = text.substr(colon + 1);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(name.c_str(), port.c_str(), &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found{list, freeaddrinfo};
  if (failed != 0)
    return Error{fmt::format("{}: {}", text, gai_strerror(failed))};
  char address[NI_MAXHOST] = "";
  if (getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, nullptr, 0,
                  NI_NUMERICHOST) != 0)
    return Error{fmt::format("{}: its address cannot be read", text)};
  return parse_endpoint(
      fmt::format(fmt::runtime(found->ai_family == AF_INET6 ? "[{}]:{}" : "{}:{}"), address, port));
}

} // namespace trap::ctl
