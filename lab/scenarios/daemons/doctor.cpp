// SPDX-License-Identifier: Apache-2.0
// `trapctl doctor`: its findings before and after something breaks.
#include <filesystem>

#include <fmt/format.h>

#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

using nlohmann::json;

constexpr DaemonKind server = DaemonKind::server, guard = DaemonKind::guard,
                     client = DaemonKind::client;

class Doctor {
public:
  Doctor(Scene& scene, DaemonHost& host) : scene_(scene), host_(host) {}

  void play() {
    for (const DaemonKind kind : daemon_kinds)
      if (!host_.start(kind))
        return;
    all_well();
    routes_and_listeners();
    keys_and_configuration();
    interfaces();
    daemon_gone();
    host_.expect_complaint(host_.run_program("trapctl", {"doctor"}), 3,
                           "no part of TRAP is configured", "nothing here");
    host_.expect_complaint(
        host_.run_program("trapctl", {"doctor", "--config", configuration_file(guard)}), 2,
        "name the part with --part", "a configuration without a part");
  }

private:
  std::string configuration_file(DaemonKind kind) {
    return host_.daemon(kind).configuration_file().string();
  }

  Finished examine(DaemonKind kind, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"doctor", "--part", std::string{name_of(kind)}, "--config",
                               configuration_file(kind)});
    return host_.run_program("trapctl", std::move(more));
  }

  // The grades of the findings of some checks, in the order of the checks.
  std::string grades(DaemonKind kind, const std::vector<std::string>& checks) {
    const json report = json::parse(examine(kind, {"--json"}).output, nullptr, false);
    std::string text;
    for (const std::string& check : checks)
      for (const json& finding : report.is_object() ? report["checks"] : json::array())
        if (finding.value("check", "") == check)
          text += (text.empty() ? "" : " ") + finding.value("grade", "");
    return text;
  }

  void all_well() {
    scene_.equal("ok ok ok ok", grades(guard, {"kernel", "btf", "privilege", "programs"}),
                 "the host is in order");
    for (const DaemonKind kind : {server, guard})
      scene_.equal("ok ok ok ok ok ok",
                   grades(kind, {"config", "key-file", "daemon", "keys", "xdp", "interfaces"}),
                   fmt::format("{} in order", name_of(kind)));
    scene_.equal("ok ok ok", grades(client, {"config", "daemon", "interfaces"}), "client in order");
  }

  void routes_and_listeners() {
    scene_.equal("fail fail", grades(server, {"peers"}), "the server's backends have no route");
    scene_.done(host_.host().ip("route add 198.51.100.0/24 via 203.0.113.2\n"), "a route is added");
    scene_.equal("ok", grades(server, {"peers"}), "now they have");
    scene_.equal("warn", grades(guard, {"ports"}), "no program listens for the guard's service");
    listener_.emplace(Process::start(host_.host().command(
        {"python3", "-c",
         "import socket, time; s = socket.create_server(('0.0.0.0', 80)); time.sleep(60)"})));
    host_.expect_to_become(
        "ok", [&] { return grades(guard, {"ports"}); }, "one does");
  }

  void keys_and_configuration() {
    using std::filesystem::perms;
    const std::string key = guard_key_file("service");
    std::filesystem::permissions(key, perms::owner_read | perms::owner_write | perms::group_read);
    scene_.equal("fail", grades(guard, {"key-file"}), "others may read the key");
    scene_.equal("fail", grades(guard, {"config"}), "the configuration check says so, too");
    std::filesystem::permissions(key, perms::owner_read | perms::owner_write);
    scene_.done(host_.configure(guard, "colour = \"red\"\n"), "an unknown key is configured");
    const std::string said = examine(guard).output;
    scene_.check(count_lines(said, "^fail  guard   config .*guard.toml:[0-9]+: .*colour") == 1,
                 "an unknown key", said);
    scene_.done(host_.configure(guard), "it is taken out");
  }

  void interfaces() {
    scene_.done(host_.host().set("ipv4/conf/trap0/rp_filter", "1"), "rp_filter becomes strict");
    scene_.equal("warn", grades(client, {"rp_filter"}), "strict rp_filter");
    scene_.done(host_.host().ip("link set guard0 down\n"), "the guard's interface goes down");
    scene_.equal("warn", grades(guard, {"interfaces"}), "interface down");
    scene_.equal("4", std::to_string(examine(guard).exit_code),
                 "exit code when something is wrong");
  }

  void daemon_gone() {
    host_.daemon(guard).kill();
    scene_.equal("fail ok", grades(guard, {"daemon", "xdp"}), "the daemon is gone");
    const Finished orphan = examine(guard);
    scene_.check(
        orphan.exit_code == 4 &&
            count_lines(orphan.output,
                        "^fail  guard +daemon +trap-guard does not run: programs that it left "
                        "attached go on .*systemctl start trap-guard") == 1,
        "and which programs go on without it", orphan.output);
  }

  Scene& scene_;
  DaemonHost& host_;
  std::optional<Result<Process>> listener_;
};

void doctor(Scene& scene) {
  if (const auto host = DaemonHost::make(scene))
    Doctor{scene, *host}.play();
}

const Registration register_doctor{{
    .name = "doctor",
    .goal = "trapctl doctor finds what is wrong with a host, and says so in its exit code",
    .plan = daemons_plan(),
    .play = doctor,
}};

} // namespace
} // namespace trap::lab
