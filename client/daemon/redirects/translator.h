// SPDX-License-Identifier: Apache-2.0
// The prefix of the translator from IPv6 to IPv4 that this host has (RFC 7050): its resolver gives
// ipv4only.arpa, which has no IPv6 address, one with that prefix.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>

#include "runtime/config/prefix.h"

namespace trap::client {

// The prefix by which these addresses of ipv4only.arpa embed its IPv4 ones; nothing if none does.
std::optional<Prefix> translator_prefix(std::span<const trap_address> addresses);

// Asks the resolver in a thread of its own, which may take long.
class TranslatorFinder {
public:
  // For every second. True if the answer is another one than before.
  bool tick();

  // The network is another one: nothing is known, and it is asked anew.
  void forget();

  // The prefix, of 0 bits if there is no translator; nothing while no resolver has answered.
  const std::optional<Prefix>& found() const { return found_; }

private:
  struct Question;

  std::shared_ptr<Question> question_; // shared with its thread; null: none is asked
  std::optional<Prefix> found_;
  std::chrono::steady_clock::time_point due_{};
};

} // namespace trap::client
