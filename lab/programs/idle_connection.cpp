// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/idle_connection.h"

#include <fstream>

#include <fmt/format.h>

#include "lab/hosts/process.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds opening{5000}, answering{20000};

} // namespace

Result<IdleConnection> IdleConnection::start(const Host& host, Family family) {
  const std::filesystem::path opened =
      host.directory() / fmt::format("idle-{}-opened", name_of(family));
  const std::filesystem::path told =
      host.directory() / fmt::format("idle-{}-told", name_of(family));
  const std::string script =
      "exec 3<>\"/dev/tcp/$1/$2\" && : > \"$3\" && until [ -e \"$4\" ]; do sleep 0.05; done && "
      "printf 'GET /small.txt HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
  auto process = Process::start(
      host.command({"bash", "-c", script, "idle", std::string{addresses_of("trap").address(family)},
                    std::to_string(service_port), opened.string(), told.string()}));
  if (!process)
    return process.error();
  for (const auto until = Clock::now() + scale_timeout(opening);
       Clock::now() < until && sleep_for(milliseconds{50});)
    if (std::filesystem::exists(opened))
      return IdleConnection{told, std::move(*process)};
  return Error{"it was not opened"};
}

Result<Finished> IdleConnection::speak() {
  std::ofstream{told_} << "now\n";
  return process_.wait(answering);
}

} // namespace trap::lab
