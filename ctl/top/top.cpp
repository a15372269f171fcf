// SPDX-License-Identifier: Apache-2.0
// trapctl top.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "ctl/parts.h"
#include "ctl/top/live_screen.h"
#include "ctl/top/top_table.h"
#include "runtime/json_text.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string local_time() {
  std::time_t now = std::time(nullptr);
  std::tm broken_down = {};
  localtime_r(&now, &broken_down);
  return fmt::format("{:%H:%M:%S}", broken_down);
}

Result<Sample> take_sample(const PartRequest& request) {
  auto parts = running_parts(request);
  if (!parts)
    return parts.error();
  return read_sample(*parts, now_s());
}

void print_plain(const TopRequest& request, const Sample& earlier, const Sample& later) {
  std::vector<ServiceRates> rates = rates_between(earlier, later);
  if (request.parts.json)
    fmt::print("{}\n", json_text(rates_json(rates, later.at_s - earlier.at_s)));
  else
    fmt::print("{}  {:.1f} s\n{}\n", local_time(), later.at_s - earlier.at_s, format_rates(rates));
  std::fflush(stdout);
}

// Until a signal ends the program, or no daemon answers any more.
Result<ExitCode> run_plain(const TopRequest& request, Sample earlier) {
  for (;;) {
    std::this_thread::sleep_for(std::chrono::duration<double>(request.interval_s));
    auto later = take_sample(request.parts);
    if (!later)
      return later.error();
    print_plain(request, earlier, *later);
    if (request.once || std::ferror(stdout) != 0) // which print_whole() says
      return ExitCode::ok;
    earlier = std::move(*later);
  }
}

std::string page_of(const TopRequest& request, const std::string& body) {
  return fmt::format("trapctl top  {}  every {:g} s  q: quit\n\n{}", local_time(),
                     request.interval_s, body);
}

// Waits out the interval, drawing again when the size changes. False: the user has seen enough.
bool wait_for_next(const LiveScreen& screen, double until_s, const std::string& page) {
  for (;;) {
    LiveScreen::Event event = screen.wait(until_s - now_s());
    if (event == LiveScreen::Event::quit)
      return false;
    if (event == LiveScreen::Event::resized)
      screen.draw(page);
    if (now_s() >= until_s)
      return true;
  }
}

// A daemon that goes may come back: its line says so until then.
Result<ExitCode> run_live(const TopRequest& request, Sample earlier) {
  LiveScreen screen;
  std::string page = page_of(request, "measuring ...\n");
  for (double next_s = now_s() + request.interval_s;; next_s = now_s() + request.interval_s) {
    screen.draw(page);
    if (!wait_for_next(screen, next_s, page))
      return ExitCode::ok;
    auto later = take_sample(request.parts);
    if (!later) {
      page = page_of(request, later.error().message + "\n");
      continue;
    }
    page = page_of(request, format_rates(rates_between(earlier, *later)));
    earlier = std::move(*later);
  }
}

} // namespace

Result<ExitCode> show_top(const TopRequest& request) {
  auto first = take_sample(request.parts);
  if (!first)
    return first.error();
  bool live = !request.once && !request.parts.json && LiveScreen::possible();
  return live ? run_live(request, std::move(*first)) : run_plain(request, std::move(*first));
}

} // namespace trap::ctl
