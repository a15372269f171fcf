// SPDX-License-Identifier: Apache-2.0
// A scrape of a trap-server with 1,000 addresses is bounded in bpf() calls, as strace counts them.
#include <csignal>
#include <sstream>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr int addresses = 1000, calls_at_most = 3000;
constexpr milliseconds scrape_deadline{60000}, end_deadline{10000};

std::string server_with_addresses(const DaemonHost& host) {
  std::string list;
  for (int i = 0; i < addresses; i++)
    list += fmt::format("\"198.18.{}.{}:80\", ", i / 250, i % 250 + 1);
  std::string text = host.configuration(DaemonKind::server);
  const std::string usual = fmt::format("\"{}:80\"", DaemonHost::address);
  return text.replace(text.find(usual), usual.size(), list);
}

// Calls of bpf() in strace's table, -1 if there is none.
int calls_in(const std::filesystem::path& table) {
  for (const std::string& line : last_lines(table, 20)) {
    std::istringstream fields{line};
    double percent = 0, seconds = 0;
    long us_per_call = 0;
    int calls = 0;
    if (fields >> percent >> seconds >> us_per_call >> calls && line.ends_with(" bpf"))
      return calls;
  }
  return -1;
}

// The calls of the ticks that fall into the scrape count as well.
void scrape(Scene& scene) {
  const auto host = DaemonHost::make(scene);
  if (!host)
    return;
  Daemon& server = host->daemon(DaemonKind::server);
  if (!scene.done(server.configure(server_with_addresses(*host), R"("trap0")"),
                  fmt::format("{} addresses are configured", addresses)) ||
      !host->start(DaemonKind::server))
    return;
  const auto table = host->host().directory() / "calls", log = host->host().directory() / "strace";
  Command trace = host->host().command({"strace", "-f", "-c", "-e", "trace=bpf", "-o",
                                        table.string(), "-p", std::to_string(server.pid())});
  trace.log = log;
  auto tracer = Process::start(trace);
  const bool attached =
      tracer && becomes([&] {
        const auto said = last_lines(log, 1);
        return !said.empty() && said.front().find("attached") != std::string::npos;
      });
  if (!scene.check(attached, "strace is attached to trap-server",
                   tracer ? "it is not" : tracer.error().message))
    return;
  const auto scraped =
      run(host->host().command({"curl", "-sS", "--unix-socket", server.control_socket().string(),
                                "http://trap/metrics"}),
          scrape_deadline);
  tracer->stop(SIGINT, end_deadline);
  scene.equal(std::to_string(addresses),
              std::to_string(scraped ? count_lines(scraped->output, "^trap_service_active\\{") : 0),
              "the scrape has every address");
  const int calls = calls_in(table);
  scene.check(calls >= addresses, "its counters are read from the maps",
              fmt::format("{} bpf() calls", calls));
  scene.check(calls <= calls_at_most,
              fmt::format("it makes at most {} bpf() calls: {}", calls_at_most, calls),
              "it makes more");
}

const Registration register_scrape{{
    .name = "scrape",
    .goal = "a scrape of a thousand addresses makes few bpf() calls",
    .plan = daemons_plan(),
    .play = scrape,
}};

} // namespace
} // namespace trap::lab
