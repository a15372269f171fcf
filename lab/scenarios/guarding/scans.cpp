// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

constexpr int closed_port = 81;
constexpr std::chrono::seconds deadline{30};

struct Scan {
  std::string_view name, option;
  std::string_view protected_port; // what nmap must make of it
  std::string_view verdict;
};

constexpr Scan scans_by_nmap[] = {
    {"SYN", "-sS", "filtered", "drop-uninvited"},
    {"FIN", "-sF", "open|filtered", "drop-bad-flags"},
    {"null", "-sN", "open|filtered", "drop-null"},
    {"xmas", "-sX", "open|filtered", "drop-bad-flags"},
    {"ACK", "-sA", "filtered", "drop-no-flow"},
    {"window", "-sW", "filtered", "drop-no-flow"},
    {"connect", "-sT", "filtered", "drop-uninvited"},
};

using Ports = std::map<int, std::string>;

Result<Process> start_nmap(const Host& from, Family family, const Scan& scan,
                           const std::vector<std::string>& more) {
  std::vector<std::string> words = {"nmap",
                                    "-n",
                                    "-Pn",
                                    std::string{scan.option},
                                    "--max-retries",
                                    "1",
                                    "--max-rtt-timeout",
                                    "300ms",
                                    "-p",
                                    fmt::format("{},{},{}", service_port, closed_port, open_port),
                                    "-oG",
                                    "-"};
  if (family == Family::ipv6)
    words.emplace_back("-6");
  words.insert(words.end(), more.begin(), more.end());
  words.emplace_back(addresses_of("service").address(family));
  return Process::start(from.command(words));
}

// "Ports: 80/filtered/tcp//http///, 81/closed/tcp///"
Result<Ports> read_ports(Process process) {
  auto finished = process.wait(deadline);
  if (!finished)
    return finished.error();
  Ports ports;
  const std::string& text = finished->output;
  for (std::size_t at = text.find("Ports: "); at != std::string::npos && at < text.size();) {
    at = text.find_first_of("0123456789", at);
    const std::size_t state = text.find('/', at), end = text.find('/', state + 1);
    int port = 0;
    if (end == std::string::npos ||
        std::from_chars(text.data() + at, text.data() + state, port).ec != std::errc{})
      break;
    ports[port] = text.substr(state + 1, end - state - 1);
    const std::size_t comma = text.find(", ", end), line = text.find_first_of("\t\n", end);
    at = comma < line ? comma : std::string::npos;
  }
  if (ports.size() != 3)
    return Error{"nmap does not tell of three ports: " + text + finished->errors};
  return ports;
}

std::string text_of_ports(const Ports& ports) {
  std::string text;
  for (const auto& [port, state] : ports)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", port, state);
  return text;
}

// All kinds of scan at once; an element for each of scans_by_nmap.
std::vector<Result<Ports>> scan_all(const Host& from, Family family) {
  std::vector<Result<Process>> processes;
  for (const Scan& scan : scans_by_nmap)
    processes.push_back(start_nmap(from, family, scan, {}));
  std::vector<Result<Ports>> all;
  for (Result<Process>& process : processes)
    all.push_back(process ? read_ports(std::move(*process)) : Result<Ports>{process.error()});
  return all;
}

void compare(Scene& scene, Family family, const Scan& scan, const Result<Ports>& without,
             const Result<Ports>& with) {
  const std::string what = fmt::format("{}, {} scan", name_of(family), scan.name);
  if (!scene.check(without && with, what + ": nmap runs",
                   !without ? without.error().message
                   : !with  ? with.error().message
                            : ""))
    return;
  if (scan.protected_port ==
      "filtered") // to the others an open port is as silent as a protected one
    scene.check(without->at(service_port) != "filtered",
                what + ": without a guard the port answers", text_of_ports(*without));
  scene.check(with->at(service_port) == scan.protected_port,
              fmt::format("{}: the protected port is {}", what, scan.protected_port),
              text_of_ports(*with));
  for (const int port : {closed_port, open_port})
    scene.check(
        with->at(port) == without->at(port),
        fmt::format("{}: port {} is {} with a guard as without", what, port, without->at(port)),
        text_of_ports(*with));
}

// Scans beside an invited client's download.
void scan(Scene& scene, Family family) {
  scene.done(scene.trap().guard().detach(), "the service's host has no guard");
  const std::vector<Result<Ports>> without = scan_all(scene.host("stranger"), family);
  scene.done(scene.trap().guard().start(), "the service's host has a guard");
  auto transfer =
      Transfer::start(scene.host("client"),
                      {Deployment::public_url(family, "/slow/5mb.bin"), std::chrono::seconds{40}});
  scene.check(transfer && Scene::wait_until_under_way(*transfer),
              fmt::format("{}: an invited client downloads", name_of(family)),
              "it did not get there");
  const auto before = scene.trap().guard().counters();
  const std::vector<Result<Ports>> with = scan_all(scene.host("stranger"), family);
  const auto after = scene.trap().guard().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  for (std::size_t i = 0; i < std::size(scans_by_nmap); i++) {
    compare(scene, family, scans_by_nmap[i], without[i], with[i]);
    scene.check(count_of(moved, scans_by_nmap[i].verdict) > 0,
                fmt::format("{}, {} scan: is counted as {}", name_of(family), scans_by_nmap[i].name,
                            scans_by_nmap[i].verdict),
                text_of(moved));
  }
  const auto response = transfer ? transfer->finish() : Result<Response>{transfer.error()};
  scene.check(response && response->complete() && response->bytes == download_bytes,
              fmt::format("{}: the invited client's download arrives whole", name_of(family)),
              response ? response->text() : response.error().message);
}

// From invented neighbours of the stranger as well: each of them is as uninvited.
void decoys(Scene& scene) {
  GuardWatch watch = GuardWatch::begin(scene);
  auto process = start_nmap(scene.host("stranger"), Family::ipv4, scans_by_nmap[0],
                            {"-D", "192.0.2.70,192.0.2.71,ME"});
  const auto ports = process ? read_ports(std::move(*process)) : Result<Ports>{process.error()};
  scene.check(ports && ports->at(service_port) == "filtered",
              "decoys: the protected port is filtered",
              ports ? text_of_ports(*ports) : ports.error().message);
  const Counters moved = watch.wait_for(6);
  scene.check(moved == Counters{{"drop-uninvited", 6}},
              "decoys: both tries of the three are drop-uninvited", text_of(moved));
}

void scans(Scene& scene) {
  for (const Family family : families)
    scan(scene, family);
  decoys(scene);
}

const Registration register_scans{{
    .name = "scans",
    .goal = "nmap finds the protected port filtered, and nothing else changed",
    .plan = quiet_plan(),
    .play = scans,
}};

} // namespace
} // namespace trap::lab
