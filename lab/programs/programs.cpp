// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/programs.h"

#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/hosts/files.h"
#include "lab/hosts/process.h"

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds wget_deadline{20000}, iperf_deadline{20000}, chromium_deadline{40000},
    ss_deadline{5000}, database_deadline{20000}, wrk_deadline{30000};

constexpr int iperf_runs = 5;
constexpr milliseconds iperf_pause{500};

Result<json> iperf_report(const Host& host, const std::vector<std::string>& arguments) {
  auto finished = run(host.command(arguments), iperf_deadline);
  if (!finished)
    return finished.error();
  json report = json::parse(finished->output, nullptr, false);
  if (!report.is_object() || (finished->exit_code != 0 && !report.contains("error")))
    return Error{fmt::format("iperf3: exit code {}: {}", finished->exit_code, finished->errors)};
  return report;
}

// Through a relay the end of iperf3's data connection may overtake the word on its control
// connection that the test is over: its server takes that for a failure, and closes. And on a busy
// machine that server may not be done with the last test when the next one comes: 3.18 (Debian 13)
// then resets it.
bool is_of_iperf_alone(const std::string& error) {
  return error.find("control socket has closed") != std::string::npos ||
         error.find("unable to receive control message") != std::string::npos ||
         error.find("the server is busy") != std::string::npos;
}

} // namespace

Result<std::filesystem::path> wget(const Host& host, const std::string& url) {
  static unsigned serial = 0;
  const auto file = host.directory() / fmt::format("wget-{}", ++serial);
  auto done = run_checked(
      host.command({"wget", "--quiet", "--no-proxy", "--tries=1",
                    fmt::format("--timeout={}", std::chrono::duration_cast<std::chrono::seconds>(
                                                    scale_timeout(milliseconds{15000}))
                                                    .count()),
                    "--output-document", file.string(), url}),
      wget_deadline);
  if (!done)
    return done.error();
  return file;
}

Result<double> iperf(const Host& host, std::string_view address, int port, bool reverse) {
  std::vector<std::string> arguments = {"iperf3",
                                        "--json",
                                        "--client",
                                        std::string{address},
                                        "--port",
                                        std::to_string(port),
                                        "--time",
                                        "1",
                                        "--connect-timeout",
                                        "10000"};
  if (reverse)
    arguments.emplace_back("--reverse");
  Result<json> report = iperf_report(host, arguments);
  for (int i = 1; i < iperf_runs && report && is_of_iperf_alone(report->value("error", "")) &&
                  sleep_for(iperf_pause);
       i++)
    report = iperf_report(host, arguments);
  if (!report)
    return report.error();
  if (report->contains("error"))
    return Error{"iperf3: " + (*report)["error"].dump()};
  const json::json_pointer rate{"/end/sum_received/bits_per_second"};
  return report->contains(rate) ? (*report)[rate].get<double>() / 1e6 : 0;
}

// The profile is new each time: nothing is cached. It has no way out of the lab, so what it would
// like to fetch for itself fails at once.
Result<std::string> chromium(const Host& host, const std::string& url) {
  static unsigned serial = 0;
  const auto profile = host.directory() / fmt::format("chromium-{}", ++serial);
  Command command = host.command(
      {"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
       "--no-first-run", "--disable-background-networking", "--disable-component-update",
       "--no-proxy-server", "--user-data-dir=" + profile.string(), "--dump-dom", url});
  auto finished = run(command, chromium_deadline);
  std::error_code ignored;
  std::filesystem::remove_all(profile, ignored);
  if (!finished)
    return finished.error();
  if (finished->timed_out || finished->exit_code != 0)
    return Error{fmt::format(
        "chromium: {}",
        finished->timed_out ? "no end" : fmt::format("exit code {}", finished->exit_code))};
  return std::move(finished->output);
}

Result<void> write_page(const std::filesystem::path& documents) {
  const std::pair<std::string_view, std::string> files[] = {
      {"page.html",
       "<!doctype html><link rel=stylesheet href=page.css><p id=verdict>script.js did not run</p>"
       "<img id=picture src=picture.svg><script src=script.js></script>\n"},
      {"page.css", "#verdict { color: rgb(1, 2, 3); }\n"},
      {"picture.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"7\" height=\"7\"/>\n"},
      {"script.js",
       fmt::format("onload = () => {{\n"
                   "  const verdict = document.getElementById('verdict'), picture = "
                   "document.getElementById('picture');\n"
                   "  const styled = getComputedStyle(verdict).color === 'rgb(1, 2, 3)';\n"
                   "  verdict.textContent = styled && picture.naturalWidth === 7 ? '{}' : "
                   "'something is missing';\n"
                   "}};\n",
                   page_verdict)}};
  for (const auto& [name, content] : files)
    if (auto written = write_text(documents / name, content); !written)
      return written;
  return {};
}

Result<void> write_gallery(const std::filesystem::path& documents, int pictures) {
  std::string page = "<!doctype html><p id=verdict>the script did not run</p>\n";
  for (int number = 0; number < pictures; number++) {
    page += fmt::format("<img src=picture-{}.svg>\n", number);
    if (auto written = write_text(
            documents / fmt::format("picture-{}.svg", number),
            fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"7\"/>\n",
                        number + 1));
        !written)
      return written;
  }
  page += fmt::format("<script>onload = () => {{\n"
                      "  const right = [...document.images].filter((picture, at) => "
                      "picture.naturalWidth === at + 1).length;\n"
                      "  document.getElementById('verdict').textContent = right === {} ? '{}' : "
                      "'something is missing';\n"
                      "}};</script>\n",
                      pictures, page_verdict);
  return write_text(documents / "gallery.html", page);
}

Result<std::string> redis_word(const Host& host, std::string_view address, int port,
                               const std::string& word) {
  const std::vector<std::string> cli = {
      "redis-cli", "-h", std::string{address}, "-p", std::to_string(port), "--no-auth-warning"};
  for (const auto& words :
       {std::vector<std::string>{"SET", "word", word}, std::vector<std::string>{"GET", "word"}}) {
    std::vector<std::string> arguments = cli;
    arguments.insert(arguments.end(), words.begin(), words.end());
    auto said = run_checked(host.command(arguments), database_deadline);
    if (!said || words.front() == "GET")
      return said;
  }
  return Error{"redis-cli: not asked"};
}

Result<double> redis_benchmark(const Host& host, std::string_view address, int port) {
  auto said = run_checked(
      host.command({"redis-benchmark", "-h", std::string{address}, "-p", std::to_string(port), "-n",
                    "5000", "-c", "50", "-t", "get", "--csv"}),
      database_deadline);
  if (!said)
    return said.error();
  const std::size_t at = said->rfind("\"GET\",\"");
  return at == std::string::npos ? 0 : std::atof(said->c_str() + at + 7);
}

Result<std::string> psql(const Host& host, std::string_view address, int port,
                         const std::string& statement) {
  return run_checked(
      host.command({"psql", "--no-psqlrc", "-h", std::string{address}, "-p", std::to_string(port),
                    "-U", "postgres", "-d", "postgres", "-A", "-t", "-c", statement}),
      database_deadline);
}

Result<WrkResult> wrk(const Host& host, const std::string& url) {
  auto said = run_checked(host.command({"wrk", "--threads", "1", "--connections", "1000",
                                        "--duration", "2s", "--timeout", "8s", url}),
                          wrk_deadline);
  if (!said)
    return said.error();
  WrkResult result;
  for (const std::string_view name : {"Socket errors:", "Non-2xx"})
    if (const std::size_t at = said->find(name); at != std::string::npos)
      result.errors += said->substr(at, said->find('\n', at) - at);
  const std::string_view rate = "Requests/sec:";
  if (const std::size_t at = said->find(rate); at != std::string::npos)
    result.requests_per_s = std::atof(said->c_str() + at + rate.size());
  return result;
}

Result<std::string> connections_at(const Host& host, std::string_view address, int port) {
  return run_checked(
      host.command({"ss", "-tinoHO", "state", "established", "src", endpoint(address, port)}),
      ss_deadline);
}

bool connections_end(const Host& host, std::string_view peer) {
  const std::string bracketed = fmt::format("[{}]", peer); // IPv6's colons are no port's
  return becomes([&] {
    const auto left = run_checked(host.command({"ss", "-tnHO", "state", "connected", "exclude",
                                                "time-wait", "dst", bracketed}),
                                  ss_deadline);
    return left && left->empty();
  });
}

} // namespace trap::lab
