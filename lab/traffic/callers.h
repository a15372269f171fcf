// SPDX-License-Identifier: Apache-2.0
// Clients of a web server that is flooded: new connections at an even pace, each with a request,
// and requests over connections that stay open, as fast as the answers come.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

struct Callee {
  std::string address;
  int port = 80;
};

struct Pace {
  int connections = 0;
  std::chrono::microseconds interval{};
  std::chrono::milliseconds deadline{}; // of each, for both times
};

// One connection. Times are the deadline where nothing came.
struct Call {
  bool connected = false;
  bool answered = false; // the first byte of the response came
  double connect_ms = 0, first_byte_ms = 0;
};

// Starts connections without waiting for earlier ones; calls `before_each` before each. An error if
// a socket cannot be made, or after an interrupt.
Result<std::vector<Call>> call_at_pace(const Host& client, const Callee& callee, const Pace& pace,
                                       const std::function<void()>& before_each = {});

struct Load {
  int connections = 0; // each with one request at a time; one that ends is opened again
  std::chrono::milliseconds warm_up{}, window{};
};

// Responses a second in the window.
Result<double> requests_per_second(const Host& client, const Callee& callee, const Load& load);

} // namespace trap::lab
