// SPDX-License-Identifier: Apache-2.0
// A terminal that shows one page after the other, without echo and scrolling. The destructor
// restores it.
#pragma once

#include <csignal>
#include <string>
#include <termios.h>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap::ctl {

class LiveScreen {
public:
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;
  ~LiveScreen();

  // Is there a terminal to draw on and to read keys from?
  static bool possible();

  LiveScreen();

  // Shows as much of `page` as the terminal has room for.
  void draw(const std::string& page) const;

  enum class Event { timeout, resized, quit };

  // Waits for q, a signal that ends programs, a new size, or the time.
  Event wait(double seconds) const;

private:
  termios before_ = {};
  sigset_t mask_before_ = {};
  Fd signals_;
};

} // namespace trap::ctl
