// SPDX-License-Identifier: Apache-2.0
// A lock that threads take in turns. With a plain mutex a loop that is always busy would take it
// back before a thread that waits wakes up.
#pragma once

#include <mutex>

namespace trap {

class FairMutex {
public:
  void lock() {
    std::lock_guard waiting(
        next_); // who waits for the turn keeps the one who just had it out of here
    turn_.lock();
  }
  void unlock() { turn_.unlock(); }

private:
  std::mutex next_;
  std::mutex turn_;
};

} // namespace trap
