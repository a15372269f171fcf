// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/fetch_loop.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "lab/hosts/files.h"

namespace trap::lab {
namespace {

// A line for each fetch: curl's exit code, HTTP status, seconds, URL, curl's words.
constexpr std::string_view loop_script = R"(while :; do for pair in "$@"; do
url=${pair#* } local=${pair%% *}
curl --silent --globoff --noproxy '*' --output /dev/null --max-time 5 \
     --write-out '%{exitcode} %{http_code} %{time_total} %{url} %{errormsg}\n' ${local:+--interface "$local"} "$url"
done; done)";

void add_line(LoopResult& result, const std::string& line) {
  std::istringstream fields{line};
  int exit_code = -1, status = 0;
  double seconds = 0;
  if (!(fields >> exit_code >> status >> seconds))
    return;
  result.fetches++;
  result.slowest_s = std::max(result.slowest_s, seconds);
  if (exit_code == 0 && status == 200)
    return;
  if (result.failures++ == 0)
    result.first_failure = line;
}

} // namespace

std::string LoopResult::text() const {
  return fmt::format("{} fetches, {} failed, the slowest took {:.3f} s{}{}", fetches, failures,
                     slowest_s, failures == 0 ? "" : "; the first: ", first_failure);
}

Result<FetchLoop> FetchLoop::start(const Host& host, const std::vector<Request>& requests) {
  static unsigned serial = 0;
  std::vector<std::string> arguments = {"sh", "-c", std::string{loop_script}, "fetch-loop"};
  for (const Request& request : requests)
    arguments.push_back(request.local_address + " " + request.url);
  Command command = host.command(arguments);
  command.log = host.directory() / fmt::format("fetch-loop-{}.log", ++serial);
  auto process = Process::start(command);
  if (!process)
    return process.error();
  return FetchLoop{std::move(*process), command.log};
}

LoopResult FetchLoop::finish() {
  process_.stop(SIGKILL, std::chrono::milliseconds{1000});
  return so_far();
}

LoopResult FetchLoop::so_far() const {
  LoopResult result;
  std::ifstream log{log_};
  for (std::string line; std::getline(log, line);)
    add_line(result, line);
  return result;
}

} // namespace trap::lab
