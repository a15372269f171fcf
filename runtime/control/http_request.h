// SPDX-License-Identifier: Apache-2.0
// The little HTTP/1.1 that control socket and metrics listener take: a request line, header fields
// and a body of a stated length. Everything else of RFC 9112 is refused by name.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace trap {

struct HttpRequest {
  std::string method;
  std::string path;  // decoded
  std::string query; // as it came, without the question mark
  std::string body;
  std::string accept = {}; // the field of this name, if there is one
  // The user that connected, where the socket is a Unix one. From the server, not from the request.
  std::optional<unsigned> peer_uid = {};
};

struct HttpLimits {
  std::size_t head_bytes = 8192; // request line and header fields
  std::size_t body_bytes = 0;
  int request_ms = 2000;     // from the connection to the last byte of the request
  int answer_ms = 10000;     // to take the whole answer
  std::size_t clients = 128; // of more, the one that has kept the server waiting longest goes
};

struct HttpReading {
  enum class State { wants_more, refused, complete };

  State state = State::wants_more;
  int status = 0;      // of a refusal
  std::string line;    // of a refusal, for a person
  HttpRequest request; // when complete
};

// Reads the request at the start of `bytes`. What follows it is not looked at.
HttpReading read_http_request(std::string_view bytes, const HttpLimits& limits);

} // namespace trap
