// SPDX-License-Identifier: Apache-2.0
// Knocks that a daemon performs for those who may ask it at its control socket and have no raw
// sockets of their own. Each has a thread; number and rate are bounded, so that no user makes this
// host a source of handshakes.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/knock/perform_knock.h"

namespace trap {

class KnockDesk {
public:
  using Clock = std::chrono::steady_clock;
  using Perform = std::function<Result<nlohmann::ordered_json>(const KnockOrder& order,
                                                               const std::function<bool()>&)>;

  static constexpr unsigned most_at_once = 4;
  static constexpr unsigned burst = 10;               // knocks without a pause
  static constexpr std::chrono::seconds one_every{6}; // beyond the burst
  static constexpr std::chrono::milliseconds longest_timeout{5000};

  // In place of perform_knock(), for tests.
  explicit KnockDesk(Perform perform = perform_in_daemon);

  // {"knock", ADDRESS:PORT[, MILLISECONDS]} begins one: {"knock": NUMBER}. {"knock", "result",
  // NUMBER} tells it: {"done": false}, or {"done": true, "knock": its object}, once. Errors of a
  // knock are the errors of its result.
  Result<std::string> command(const std::vector<std::string>& words, Clock::time_point now);

private:
  static Result<nlohmann::ordered_json> perform_in_daemon(const KnockOrder& order,
                                                          const std::function<bool()>& is_to_stop);

  struct Knock {
    std::uint64_t number = 0;
    Clock::time_point since;
    std::mutex guard; // of `result`
    std::optional<Result<nlohmann::ordered_json>> result = {};
    std::jthread thread = {}; // last, so that it ends first
  };

  Result<std::string> begin(const std::vector<std::string>& words, Clock::time_point now);
  Result<std::string> tell(const std::string& number);
  void forget_old(Clock::time_point now);

  Perform perform_;
  std::list<Knock> knocks_;
  std::uint64_t last_number_ = 0;
  double tokens_ = burst;
  Clock::time_point filled_ = {};
};

} // namespace trap
