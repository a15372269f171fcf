// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/daemons/daemon_host.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/hosts/listening.h"
#include "lab/network/topology.h"

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds command_deadline{30000}, change_deadline{30000};
constexpr milliseconds knock_time{1000}, before_second_syn{800};

std::string_view interface_of(DaemonKind kind) {
  return kind == DaemonKind::guard ? "\"guard0\"" : "\"trap0\"";
}

} // namespace

std::unique_ptr<DaemonHost> DaemonHost::make(Scene& scene) {
  auto host = Host::create("daemons");
  auto neighbour = Host::create("neighbour");
  if (!scene.check(host && neighbour, "a host for the daemons, and a neighbour",
                   !host        ? host.error().message
                   : !neighbour ? neighbour.error().message
                                : ""))
    return nullptr;
  std::unique_ptr<DaemonHost> made{new DaemonHost{scene, std::move(*host), std::move(*neighbour)}};
  if (!scene.done(made->prepare(), "they are connected, and have configurations"))
    return nullptr;
  return made;
}

DaemonHost::~DaemonHost() {
  if (scene_->failures() == 0)
    return;
  for (const Daemon& daemon : daemons_)
    for (const std::string& line : last_lines(daemon.log(), 8))
      scene_->note(fmt::format("  trap-{}: {}", name_of(daemon.kind()), line));
}

Result<void> DaemonHost::add_link(std::string_view near, std::string_view far) const {
  if (auto done =
          host_.ip(fmt::format("link add {} type veth peer name {} netns {}\n"
                               "address add {}/24 dev {}\nlink set {} up\n",
                               near, far, neighbour_.namespace_name(), address, near, near));
      !done)
    return done;
  if (auto done = neighbour_.ip(
          fmt::format("address add {}/24 dev {}\nlink set {} up\n", neighbour_address, far, far));
      !done)
    return done;
  return pass_frames(neighbour_, far); // or trap-server is degraded: its answers would be lost
}

Result<void> DaemonHost::prepare() {
  if (auto added = add_link("trap0", "trap1"); !added)
    return added;
  if (auto added = host_.ip(fmt::format("link add guard0 type veth peer name guard1 netns {}\n"
                                        "link set guard0 up\n",
                                        neighbour_.namespace_name()));
      !added)
    return added;
  if (auto up = neighbour_.ip("link set guard1 up\n"); !up)
    return up;
  for (const DaemonKind kind : daemon_kinds) {
    auto daemon = Daemon::prepare(kind, host_, configuration(kind));
    if (!daemon)
      return daemon.error();
    daemons_.push_back(std::move(*daemon));
    if (auto written = configure(kind); !written)
      return written;
  }
  return {};
}

std::string DaemonHost::configuration(DaemonKind kind) const {
  switch (kind) {
  case DaemonKind::server:
    return fmt::format("master_key_file = \"{}\"\n"
                       "[[service]]\n"
                       "name = \"web\"\n"
                       "addresses = [\"{}:80\"]\n"
                       "health = \"off\"\n"
                       "  [[service.backend]]\n"
                       "  address = \"198.51.100.20:80\"\n"
                       "  guard = \"web-1\"\n"
                       "  [[service.backend]]\n"
                       "  address = \"198.51.100.21:80\"\n"
                       "  guard = \"web-1\"\n",
                       master_key_file(), address);
  case DaemonKind::guard:
    return fmt::format("uncovered = \"accept\"\n"
                       "secret_file = \"{}\"\n"
                       "trap_servers = [\"{}\"]\n"
                       "[[service]]\n"
                       "name = \"web\"\n"
                       "port = 80\n",
                       guard_key_file("service"), address);
  case DaemonKind::client:
    break;
  }
  return "";
}

Result<void> DaemonHost::configure(DaemonKind kind, const std::string& keys) {
  return daemon(kind).configure(keys + configuration(kind), std::string{interface_of(kind)});
}

bool DaemonHost::start(DaemonKind kind, std::string_view what) {
  return scene_->done(daemon(kind).start(), fmt::format("{}: {}", name_of(kind), what));
}

Finished DaemonHost::run(std::vector<std::string> arguments) {
  const std::string what = arguments.front();
  auto finished = trap::lab::run(host_.command(std::move(arguments)), command_deadline);
  if (finished)
    return std::move(*finished);
  scene_->check(false, "run " + what, finished.error().message);
  return {};
}

Finished DaemonHost::run_program(std::string_view program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), (program_directory() / program).string());
  return run(std::move(arguments));
}

Finished DaemonHost::control(DaemonKind kind, std::vector<std::string> words) {
  words.insert(words.end(), {"--socket", daemon(kind).control_socket().string()});
  return run_program("trapctl", std::move(words));
}

json DaemonHost::control_json(DaemonKind kind, std::vector<std::string> words) {
  words.emplace_back("--json");
  return json::parse(control(kind, std::move(words)).output, nullptr, false);
}

json DaemonHost::status(DaemonKind kind) {
  const json report = control_json(kind, {"status", std::string{name_of(kind)}});
  return report.is_object() ? report : json::object();
}

void DaemonHost::knock() const {
  connects(neighbour_, address, 80, knock_time);
}

bool DaemonHost::lets_in() const {
  return connects(neighbour_, address, 80, before_second_syn);
}

int DaemonHost::count_in_log(DaemonKind kind, const std::string& pattern) {
  std::ifstream log{daemon(kind).log()};
  return count_lines({std::istreambuf_iterator<char>{log}, {}}, pattern);
}

void DaemonHost::expect_complaint(const Finished& finished, int exit_code,
                                  const std::string& pattern, std::string_view what) {
  scene_->check(finished.exit_code == exit_code, fmt::format("{}: exit code {}", what, exit_code),
                fmt::format("{}: {}", finished.exit_code, finished.errors));
  scene_->check(count_lines(finished.errors, pattern) == 1 && count_lines(finished.errors, "") == 1,
                fmt::format("{}: one line says why", what),
                fmt::format("no /{}/ in \"{}\"", pattern, finished.errors));
}

void DaemonHost::expect_to_become(std::string_view wanted, const std::function<std::string()>& ask,
                                  std::string_view what) {
  std::string got;
  becomes(
      [&] {
        got = ask();
        return got == wanted;
      },
      change_deadline);
  scene_->equal(wanted, got, what);
}

int count_lines(const std::string& text, const std::string& pattern) {
  const std::regex expression{pattern};
  std::istringstream lines{text};
  int count = 0;
  for (std::string line; std::getline(lines, line);)
    count += std::regex_search(line, expression) ? 1 : 0;
  return count;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

} // namespace trap::lab
