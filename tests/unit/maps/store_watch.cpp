// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/maps/store_watch.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <new>
#include <stdexcept>

namespace trap::test {
namespace {

struct Watch {
  char* memory;
  std::size_t bytes;
  const std::function<void()>* look;
  std::size_t stores = 0;
};

Watch* active = nullptr;

#ifdef __x86_64__

constexpr greg_t trap_flag = 0x100;

void on_fault(int, siginfo_t* info, void* context) {
  const auto* at = static_cast<const char*>(info->si_addr);
  if (!active || at < active->memory || at >= active->memory + active->bytes) {
    signal(SIGSEGV, SIG_DFL); // a fault of its own, at the same place again
    return;
  }
  mprotect(active->memory, active->bytes, PROT_READ | PROT_WRITE);
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= trap_flag;
}

void on_step(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~trap_flag;
  mprotect(active->memory, active->bytes, PROT_READ);
  active->stores++;
  (*active->look)();
}

struct Handlers {
  Handlers() {
    struct sigaction fault = {}, step = {};
    fault.sa_sigaction = on_fault;
    step.sa_sigaction = on_step;
    fault.sa_flags = step.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &fault, &fault_before);
    sigaction(SIGTRAP, &step, &step_before);
  }
  ~Handlers() {
    sigaction(SIGSEGV, &fault_before, nullptr);
    sigaction(SIGTRAP, &step_before, nullptr);
  }
  struct sigaction fault_before = {}, step_before = {};
};

#endif

} // namespace

bool can_watch_stores() {
#ifdef __x86_64__
  return true;
#else
  return false;
#endif
}

WatchedPage::WatchedPage(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  bytes_ = (bytes + page - 1) / page * page;
  memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED)
    throw std::bad_alloc();
}

WatchedPage::~WatchedPage() {
  munmap(memory_, bytes_);
}

std::size_t WatchedPage::run(const std::function<void()>& write,
                             const std::function<void()>& look) {
#ifdef __x86_64__
  Watch watch{static_cast<char*>(memory_), bytes_, &look};
  const Handlers handlers;
  active = &watch;
  mprotect(memory_, bytes_, PROT_READ);
  write();
  mprotect(memory_, bytes_, PROT_READ | PROT_WRITE);
  active = nullptr;
  return watch.stores;
#else
  static_cast<void>(write);
  static_cast<void>(look);
  throw std::logic_error("stores cannot be watched on this machine");
#endif
}

} // namespace trap::test
