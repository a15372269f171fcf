// SPDX-License-Identifier: Apache-2.0
// A lock that threads take in turns. With a plain mutex a loop that is always busy would take it back before a thread that waits wakes up.
#ifndef TRAP_RUNTIME_TURNS_H
#define TRAP_RUNTIME_TURNS_H

#include <mutex>

namespace trap {

class Turns {
public:
  void lock() {
    std::lock_guard waiting(next_); // who waits for the turn keeps the one who just had it out of here
    turn_.lock();
  }
  void unlock() { turn_.unlock(); }

private:
  std::mutex next_;
  std::mutex turn_;
};

} // namespace trap

#endif
