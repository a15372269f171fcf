// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/scene.h"

#include <fmt/format.h>

namespace trap::lab {
namespace {

constexpr std::uint64_t bytes_under_way = 200'000;

} // namespace

bool Scene::check(bool holds, std::string_view what, std::string_view why_not) {
  checks_++;
  if (!holds)
    failures_++;
  terminal_->line(fmt::format("{} {} - {}{}{}",
                              holds ? terminal_->good("ok") : terminal_->bad("not ok"), checks_,
                              what, holds ? "" : ": ", holds ? "" : why_not));
  return holds;
}

bool Scene::done(const Result<void>& result, std::string_view what) {
  return check(static_cast<bool>(result), what, result ? "" : result.error().message);
}

Visit Scene::visit(const Host& from, const std::string& url, std::chrono::milliseconds deadline) {
  const auto before = trap().read();
  auto response = fetch(from, {url, deadline});
  const auto after = trap().read();
  if (!before || !response || !after) {
    check(false, "carry out " + url,
          (!before     ? before.error()
           : !response ? response.error()
                       : after.error())
              .message);
    return {};
  }
  return {std::move(*response), difference(*before, *after)};
}

bool Scene::equal(std::string_view wanted, std::string_view got, std::string_view what) {
  return check(wanted == got, what, fmt::format("\"{}\", not \"{}\"", got, wanted));
}

void Scene::forget_redirects() {
  const auto flushed = trap().client().control({"redirects", "flush"});
  if (!flushed || flushed->exit_code != 0)
    check(false, "forget the client's redirects",
          flushed ? flushed->errors : flushed.error().message);
}

bool Scene::wait_until_under_way(Transfer& transfer) {
  becomes([&] { return transfer.bytes_so_far() >= bytes_under_way || !transfer.running(); });
  return transfer.bytes_so_far() >= bytes_under_way && transfer.running();
}

void Scene::expect_whole(const Visit& visit, Family family, std::uint64_t bytes,
                         std::string_view what) {
  check(visit.response.complete() && visit.response.bytes == bytes,
        fmt::format("{}: arrives whole", what), visit.response.text());
  const std::string_view address = addresses_of("trap").address(family);
  check(visit.response.remote_address == address,
        fmt::format("{}: the application knows only the public address", what),
        fmt::format("it sees {}", visit.response.remote_address));
}

void Scene::expect_handed_over(const Visit& visit, std::string_view what) {
  check(count_of(visit.moved.server, "reply-syn-ack") > 0 &&
            count_of(visit.moved.server, "reply-redirect") > 0,
        fmt::format("{}: the server answered and redirected", what), text_of(visit.moved.server));
  check(count_of(visit.moved.client, "reply-accept") > 0 &&
            count_of(visit.moved.client, "reply-reissued-syn") > 0,
        fmt::format("{}: the client module took it over", what), text_of(visit.moved.client));
  check(count_of(visit.moved.guard, "pass-ticket") > 0,
        fmt::format("{}: the guard took the ticket", what), text_of(visit.moved.guard));
}

void Scene::expect_straight(const Visit& visit, std::string_view what) {
  check(count_of(visit.moved.client, "pass-syn-ticketed") > 0,
        fmt::format("{}: the SYN left with its ticket", what), text_of(visit.moved.client));
  check(count_of(visit.moved.server, "reply-syn-ack") == 0 &&
            count_of(visit.moved.server, "reply-redirect") == 0,
        fmt::format("{}: nothing crossed the server", what), text_of(visit.moved.server));
}

} // namespace trap::lab
