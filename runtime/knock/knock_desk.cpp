// SPDX-License-Identifier: Apache-2.0
#include "runtime/knock/knock_desk.h"

#include <algorithm>
#include <system_error>

#include <fmt/core.h>

#include "runtime/control/command_words.h"
#include "runtime/json_text.h"

namespace trap {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds result_is_kept{30};
constexpr std::chrono::milliseconds shortest_timeout{50};

} // namespace

Result<ordered_json> KnockDesk::perform_in_daemon(const KnockOrder& order,
                                                  const std::function<bool()>& is_to_stop) {
  return perform_knock(order, open_traced_wire, is_to_stop);
}

KnockDesk::KnockDesk(Perform perform) : perform_(std::move(perform)) {}

Result<std::string> KnockDesk::command(const std::vector<std::string>& words,
                                       Clock::time_point now) {
  forget_old(now);
  if (words.size() == 3 && words[1] == "result")
    return tell(words[2]);
  if (words.size() == 2 || words.size() == 3)
    return begin(words, now);
  return Error{"a knock is POST /knock/ADDRESS:PORT, or /knock/result/NUMBER", ExitCode::usage};
}

// Results that nothing asks for go; a thread that still runs is left to end by itself.
void KnockDesk::forget_old(Clock::time_point now) {
  std::erase_if(knocks_, [&](Knock& knock) {
    if (now - knock.since < result_is_kept)
      return false;
    std::lock_guard hold(knock.guard);
    return knock.result.has_value();
  });
}

Result<std::string> KnockDesk::begin(const std::vector<std::string>& words, Clock::time_point now) {
  auto service = parse_endpoint(words[1]);
  if (!service)
    return Error{fmt::format("service {}", service.error().message), ExitCode::usage};
  KnockOrder order{.service = *service};
  if (words.size() == 3) {
    const auto ms = number_in(words[2]);
    if (!ms || *ms < static_cast<std::uint64_t>(shortest_timeout.count()) ||
        *ms > static_cast<std::uint64_t>(longest_timeout.count()))
      return Error{fmt::format("a knock of the daemon's waits {} to {} ms for each answer",
                               shortest_timeout.count(), longest_timeout.count()),
                   ExitCode::usage};
    order.timeout = std::chrono::milliseconds(*ms);
  }
  const auto busy = std::ranges::count_if(knocks_, [](Knock& knock) {
    std::lock_guard hold(knock.guard);
    return !knock.result.has_value();
  });
  if (busy >= most_at_once)
    return Error{fmt::format("the daemon already knocks {} times: try again", most_at_once)};
  if (filled_ != Clock::time_point{})
    tokens_ =
        std::min<double>(burst, tokens_ + std::chrono::duration<double>(now - filled_) / one_every);
  filled_ = now;
  if (tokens_ < 1)
    return Error{fmt::format("the daemon knocks once in {} s for those who are not root, after {} "
                             "in a row: try again",
                             one_every.count(), burst)};
  tokens_ -= 1;
  Knock& knock = knocks_.emplace_back();
  knock.number = ++last_number_;
  knock.since = now;
  try {
    knock.thread = std::jthread([this, &knock, order](const std::stop_token& stop) {
      auto result = perform_(order, [&] { return stop.stop_requested(); });
      std::lock_guard hold(knock.guard);
      knock.result = std::move(result);
    });
  } catch (const std::system_error& failed) {
    knocks_.pop_back();
    return Error{
        fmt::format("cannot make a thread to knock: {}: raise TasksMax", failed.code().message())};
  }
  return json_text(ordered_json{{"knock", knock.number}});
}

Result<std::string> KnockDesk::tell(const std::string& number) {
  const auto wanted = number_in(number);
  const auto found =
      std::ranges::find_if(knocks_, [&](const Knock& knock) { return knock.number == wanted; });
  if (found == knocks_.end())
    return Error{fmt::format("there is no knock {}, or its result was told already", number),
                 ExitCode::usage};
  std::optional<Result<ordered_json>> result;
  {
    std::lock_guard hold(found->guard);
    result = std::move(found->result);
  }
  if (!result)
    return json_text(ordered_json{{"done", false}});
  knocks_.erase(found);
  if (!*result)
    return result->error();
  return json_text(ordered_json{{"done", true}, {"knock", **result}});
}

} // namespace trap
