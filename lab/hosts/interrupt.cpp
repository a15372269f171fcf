// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/interrupt.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <initializer_list>

#include <sys/eventfd.h>
#include <unistd.h>

namespace trap::lab {
namespace {

volatile std::sig_atomic_t signal_seen = 0;
int event_descriptor = -1;

void note_signal(int signal_number) {
  const int saved = errno;
  const std::uint64_t one = 1;
  signal_seen = signal_number;
  [[maybe_unused]] const ssize_t written = write(event_descriptor, &one, sizeof one);
  errno = saved;
}

} // namespace

void watch_for_interrupts() {
  event_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP})
    sigaction(signal_number, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

bool interrupted() {
  return signal_seen != 0;
}

int interrupt_descriptor() {
  return event_descriptor;
}

} // namespace trap::lab
