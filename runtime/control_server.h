// SPDX-License-Identifier: Apache-2.0
// The control socket: HTTP on a Unix stream socket of mode 0600, GET /status. Served by a thread of its own.
#ifndef TRAP_RUNTIME_CONTROL_SERVER_H
#define TRAP_RUNTIME_CONTROL_SERVER_H

#include <functional>
#include <memory>
#include <string>

#include "runtime/result.h"

namespace trap {

class ControlServer {
public:
  // `status` returns JSON text; it is called from the server's thread.
  static Result<ControlServer> make(const std::string& path, std::function<std::string()> status);

  ControlServer(ControlServer&&) noexcept;
  ControlServer& operator=(ControlServer&&) noexcept;
  ~ControlServer(); // stops, and removes the socket

private:
  struct Running;
  explicit ControlServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

} // namespace trap

#endif
