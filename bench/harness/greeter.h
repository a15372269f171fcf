// SPDX-License-Identifier: Apache-2.0
// The server of the paper's third experiment, which sends its response as soon as a connection is
// accepted, and a client that times it.
#pragma once

#include <memory>
#include <string_view>
#include <thread>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::bench {

// Listens on all addresses of a host, with the backlog of a stock nginx, and sends a byte to every
// client. Its thread runs on the CPUs of the thread that makes it.
class Greeter {
public:
  static Result<std::unique_ptr<Greeter>> start(const lab::Host& host, int port);
  ~Greeter();
  Greeter(const Greeter&) = delete;
  Greeter& operator=(const Greeter&) = delete;

private:
  explicit Greeter(Fd listener);
  void serve() const;
  Fd listener_;
  std::thread thread_;
};

// Microseconds from the request for a connection to the first byte of the response. The calling
// thread must be in the client's host. An error if there is no response.
Result<double> time_greeting(std::string_view address, int port);

} // namespace trap::bench
