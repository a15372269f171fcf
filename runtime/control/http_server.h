// SPDX-License-Identifier: Apache-2.0
// Answers HTTP requests at a listening socket from a thread of its own: many clients at once, one
// request a connection, each within bounds of bytes and time that no client can stretch.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/control/http_request.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap {

struct HttpAnswer {
  int status = 200;
  std::string type; // of the body
  std::string body;
  std::string allow = {}; // methods, with status 405
};

// One line for a person.
HttpAnswer text_answer(int status, const std::string& line);

class HttpServer {
public:
  // `listener` is bound, listens and does not block. `handler` is called from the thread, for one
  // request after the other; its answer to HEAD is sent without the body. Fails if there are no
  // descriptors or no thread left.
  static Result<HttpServer> make(Fd listener, HttpLimits limits,
                                 std::function<HttpAnswer(const HttpRequest&)> handler);

  HttpServer(HttpServer&&) noexcept;
  HttpServer& operator=(HttpServer&&) noexcept;
  ~HttpServer(); // stops at once, whatever clients do

private:
  struct Running;
  explicit HttpServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

} // namespace trap
