// SPDX-License-Identifier: Apache-2.0
#include "lab/programs.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/files.h"

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds wget_deadline{20000}, iperf_deadline{20000}, chromium_deadline{40000}, ss_deadline{5000};

} // namespace

Result<std::filesystem::path> wget(const Host& host, const std::string& url) {
  static unsigned serial = 0;
  const auto file = host.directory() / fmt::format("wget-{}", ++serial);
  auto done = run_checked(
      host.command({"wget", "--quiet", "--no-proxy", "--tries=1", "--timeout=15", "--output-document", file.string(), url}), wget_deadline);
  if (!done)
    return done.error();
  return file;
}

Result<double> iperf(const Host& host, std::string_view address, int port, bool reverse) {
  std::vector<std::string> arguments = {
      "iperf3", "--json", "--client", std::string{address}, "--port", std::to_string(port), "--time", "1", "--connect-timeout", "10000"};
  if (reverse)
    arguments.emplace_back("--reverse");
  auto finished = run(host.command(arguments), iperf_deadline);
  if (!finished)
    return finished.error();
  const json report = json::parse(finished->output, nullptr, false);
  if (finished->exit_code != 0 || !report.is_object() || report.contains("error"))
    return Error{fmt::format("iperf3: exit code {}: {}", finished->exit_code,
                             report.is_object() && report.contains("error") ? report["error"].dump() : finished->errors)};
  const json::json_pointer rate{"/end/sum_received/bits_per_second"};
  return report.contains(rate) ? report[rate].get<double>() / 1e6 : 0;
}

// The profile is new each time: nothing is cached. It has no way out of the lab, so what it would like to fetch for itself fails at once.
Result<std::string> chromium(const Host& host, const std::string& url) {
  static unsigned serial = 0;
  const auto profile = host.directory() / fmt::format("chromium-{}", ++serial);
  Command command = host.command({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                                  "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
                                  "--user-data-dir=" + profile.string(), "--dump-dom", url});
  auto finished = run(command, chromium_deadline);
  std::error_code ignored;
  std::filesystem::remove_all(profile, ignored);
  if (!finished)
    return finished.error();
  if (finished->timed_out || finished->exit_code != 0)
    return Error{fmt::format("chromium: {}", finished->timed_out ? "no end" : fmt::format("exit code {}", finished->exit_code))};
  return std::move(finished->output);
}

Result<void> write_page(const std::filesystem::path& documents) {
  const std::pair<std::string_view, std::string> files[] = {
      {"page.html", "<!doctype html><link rel=stylesheet href=page.css><p id=verdict>script.js did not run</p>"
                    "<img id=picture src=picture.svg><script src=script.js></script>\n"},
      {"page.css", "#verdict { color: rgb(1, 2, 3); }\n"},
      {"picture.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"7\" height=\"7\"/>\n"},
      {"script.js", fmt::format("onload = () => {{\n"
                                "  const verdict = document.getElementById('verdict'), picture = document.getElementById('picture');\n"
                                "  const styled = getComputedStyle(verdict).color === 'rgb(1, 2, 3)';\n"
                                "  verdict.textContent = styled && picture.naturalWidth === 7 ? '{}' : 'something is missing';\n"
                                "}};\n",
                                page_verdict)}};
  for (const auto& [name, content] : files)
    if (auto written = write_text(documents / name, content); !written)
      return written;
  return {};
}

Result<std::string> connections_at(const Host& host, std::string_view address, int port) {
  return run_checked(host.command({"ss", "-tinoHO", "state", "established", "src", endpoint(address, port)}), ss_deadline);
}

} // namespace trap::lab
