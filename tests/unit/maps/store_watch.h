// SPDX-License-Identifier: Apache-2.0
// A value in memory, with a look after every machine instruction that stores into it: the page is
// read-only, a store faults, is let through for one instruction, and is followed by the look. So
// the writers of mapped maps are seen as a packet sees them, unchanged.
#pragma once

#include <functional>

namespace trap::test {

// True on machines whose instructions can be stepped here: x86-64.
bool can_watch_stores();

class WatchedPage {
public:
  explicit WatchedPage(std::size_t bytes);
  ~WatchedPage();
  WatchedPage(const WatchedPage&) = delete;
  WatchedPage& operator=(const WatchedPage&) = delete;

  void* memory() const { return memory_; }
  // Runs `write`, and `look` after each of its stores into the memory; returns how many there were.
  std::size_t run(const std::function<void()>& write, const std::function<void()>& look);

private:
  void* memory_;
  std::size_t bytes_;
};

template <class T> class Watched {
public:
  T& operator*() const { return *static_cast<T*>(page_.memory()); }
  T* operator->() const { return static_cast<T*>(page_.memory()); }
  std::size_t run(const std::function<void()>& write, const std::function<void()>& look) {
    return page_.run(write, look);
  }

private:
  WatchedPage page_{sizeof(T)};
};

} // namespace trap::test
