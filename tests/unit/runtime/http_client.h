// SPDX-License-Identifier: Apache-2.0
// A client of HTTP that writes whatever bytes a test wants, and reads what comes back.
#pragma once

#include <string>
#include <string_view>

#include "runtime/config/endpoint.h"
#include "runtime/fd.h"

namespace trap::test {

struct HttpReply {
  int status = 0; // 0: the connection ended without an answer
  std::string head;
  std::string body;
};

// Connected, or not open. Reads and writes wait 20 s at most, so that a test fails and does not
// hang.
Fd connect_to_path(const std::string& path);
Fd connect_to(const Endpoint& where);

// False once the peer has closed.
bool send_bytes(const Fd& fd, std::string_view bytes);

// Reads to the end of the connection.
HttpReply read_reply(const Fd& fd);

// One request over this connection, with HTTP/1.1 and a body if there is one.
HttpReply ask(const Fd& fd, const std::string& method, const std::string& target,
              const std::string& body = "");

} // namespace trap::test
