// SPDX-License-Identifier: Apache-2.0
// Life of a daemon: start, status, stop, SIGKILL and restart with the same link and counters, an
// interface that goes and comes back, --detach; and a server whose services change between runs.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>

#include <net/if.h>
#include <sys/stat.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lab/network/tc_programs.h"
#include "lab/scenarios/daemons/daemon_host.h"
#include "runtime/attach/tc_filter.h"

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int degraded = 4, not_running = 3;
constexpr std::string_view interface = R"("trap0")";

// What keeps working without the daemon: the id of the XDP link, and tc programs.
std::string attached(DaemonHost& host, DaemonKind kind, const std::string& name = "trap0") {
  const std::string programs = fmt::format("{}", fmt::join(tc_programs(host.host(), name), ", "));
  if (kind == DaemonKind::client)
    return programs;
  const auto pin = host.daemon(kind).pin_directory() / ("link-" + name);
  const std::string shown = host.run({"bpftool", "link", "show", "pinned", pin.string()}).output;
  const std::string link = shown.substr(0, shown.find(':'));
  return kind == DaemonKind::guard ? link + " " + programs : link;
}

Finished orphan_status(DaemonHost& host, DaemonKind kind) {
  return host.control(kind, {"status", std::string{name_of(kind)}, "--pin-dir",
                             host.daemon(kind).pin_directory().string()});
}

std::string state_of(DaemonHost& host, DaemonKind kind) {
  return host.status(kind).value("state", "");
}

std::uint64_t sum_of(const json& counters) {
  std::uint64_t sum = 0;
  for (const auto& [name, packets] : counters.items())
    sum += packets.get<std::uint64_t>();
  return sum;
}

class Life {
public:
  Life(Scene& scene, DaemonHost& host, DaemonKind kind)
      : scene_(scene), host_(host), kind_(kind), daemon_(host.daemon(kind)), name_(name_of(kind)) {}

  void live() {
    if (!scene_.done(daemon_.configure(host_.configuration(kind_), std::string{interface}),
                     name_ + ": is configured") ||
        !host_.start(kind_))
      return;
    expect_status();
    survive_restarts();
    survive_lost_pins();
    if (kind_ == DaemonKind::guard)
      survive_a_lost_filter();
    survive_interfaces();
    if (kind_ != DaemonKind::client)
      survive_other_names();
    leave_nothing();
  }

private:
  void expect_status() {
    const json status = host_.status(kind_);
    scene_.equal("ok", status.value("state", ""), name_ + ": is well");
    scene_.equal(fmt::format("{} {} true", name_, daemon_.pid()),
                 fmt::format("{} {} {}", status.value("part", ""), status.value("pid", 0),
                             !status.value("version", "").empty()),
                 name_ + ": answers with its name, version and pid");
    if (kind_ != DaemonKind::client)
      scene_.equal("native", status["interfaces"][0].value("xdp_mode", ""),
                   name_ + ": says its XDP mode");
    struct stat socket {};
    scene_.check(
        stat(daemon_.control_socket().c_str(), &socket) == 0 && (socket.st_mode & 07777U) == 0600U,
        name_ + ": its control socket has mode 0600", fmt::format("{:o}", socket.st_mode & 07777U));
  }

  void survive_restarts() {
    host_.knock();
    const std::string before = attached(host_, kind_);
    const json counted = host_.status(kind_)["counters"];
    scene_.check(sum_of(counted) > 0, name_ + ": counts packets", counted.dump());
    daemon_.kill();
    scene_.equal(before, attached(host_, kind_), name_ + ": stays attached after SIGKILL");
    const Finished orphan = orphan_status(host_, kind_);
    scene_.equal(std::to_string(degraded), std::to_string(orphan.exit_code),
                 name_ + ": trapctl says degraded of pins without a daemon");
    scene_.check(count_lines(orphan.output,
                             fmt::format("^  problem: trap-{0} does not run; its programs? "
                                         "works? on (at trap0 )?with .*systemctl start trap-{0}",
                                         name_)) == 1,
                 name_ + ": and which programs go on without it", orphan.output);
    host_.knock();
    host_.start(kind_, "starts again");
    scene_.equal(before, attached(host_, kind_), name_ + ": keeps link or filters over a restart");
    const json now = host_.status(kind_)["counters"];
    bool none_lost = true;
    for (const auto& [name, packets] : counted.items())
      none_lost = none_lost && now.value(name, std::uint64_t{0}) >= packets.get<std::uint64_t>();
    scene_.check(none_lost && sum_of(now) > sum_of(counted),
                 name_ + ": goes on counting from where it was", now.dump());
    scene_.done(daemon_.stop(), name_ + ": SIGTERM ends it with exit code 0");
    scene_.equal(before, attached(host_, kind_), name_ + ": stays attached after SIGTERM");
    scene_.check(!std::filesystem::exists(daemon_.control_socket()),
                 name_ + ": its control socket is gone", "it is there");
  }

  std::string pins() const {
    std::set<std::string> names;
    std::error_code failed;
    for (std::filesystem::directory_iterator at(daemon_.pin_directory(), failed), end;
         !failed && at != end; at.increment(failed))
      names.insert(at->path().filename());
    return fmt::format("{}", fmt::join(names, " "));
  }

  // Nothing else makes programs outlive the daemon.
  void survive_lost_pins() {
    host_.start(kind_, "starts again");
    const std::string before = pins(), link = attached(host_, kind_);
    std::error_code failed;
    std::filesystem::remove_all(daemon_.pin_directory(), failed);
    scene_.equal("", pins(), name_ + ": its pins are removed");
    host_.expect_to_become(
        before, [&] { return pins(); }, name_ + ": makes pins again that are gone");
    scene_.equal("ok", state_of(host_, kind_), name_ + ": and is well");
    daemon_.kill();
    scene_.equal(link, attached(host_, kind_), name_ + ": stays attached by them after SIGKILL");
    host_.start(kind_, "starts upon them");
    scene_.equal(link, attached(host_, kind_), name_ + ": keeps link or filters");
    scene_.done(daemon_.stop(), name_ + ": ends well");
  }

  void survive_a_lost_filter() {
    host_.start(kind_, "starts again");
    const std::string before = attached(host_, kind_);
    {
      const InHost inside{host_.host()};
      scene_.check(inside.entered() && detach_filter(if_nametoindex("trap0"),
                                                     {Direction::egress, "trap_guard_egress"}, {}),
                   name_ + ": another owner takes its egress filter away", "there is none");
    }
    host_.expect_to_become(
        before, [&] { return attached(host_, kind_); },
        name_ + ": attaches its egress filter again");
    scene_.equal("ok", state_of(host_, kind_), name_ + ": and is well");
    scene_.check(host_.count_in_log(kind_, "trap0 was without its egress filter") == 1,
                 name_ + ": and says that it was gone", "it does not");
    scene_.done(daemon_.stop(), name_ + ": ends well");
  }

  void unplug() {
    scene_.done(host_.host().ip("link delete trap0\n"), name_ + ": the interface goes");
  }

  void plug() {
    scene_.done(host_.add_link("trap0", "trap1"), name_ + ": the interface comes back");
  }

  void survive_interfaces() {
    host_.start(kind_, "starts again");
    unplug();
    host_.expect_to_become(
        "degraded", [&] { return state_of(host_, kind_); },
        name_ + ": an interface that is gone is a problem");
    plug();
    host_.expect_to_become(
        "ok", [&] { return state_of(host_, kind_); },
        name_ + ": it attaches again when the interface comes back");
    daemon_.kill();
    unplug();
    if (kind_ != DaemonKind::client) {
      const Finished orphan = orphan_status(host_, kind_);
      scene_.check(orphan.exit_code == degraded &&
                       count_lines(orphan.output, "attached to no interface any more") == 1,
                   name_ + ": trapctl says when no program goes on",
                   fmt::format("exit code {}: {}", orphan.exit_code, orphan.output));
    }
    plug();
    host_.start(kind_, "starts with pins of an interface that is gone");
    scene_.equal("ok", state_of(host_, kind_), name_ + ": and is well");
    scene_.done(daemon_.stop(), name_ + ": ends well");
  }

  void call(const std::string& from, const std::string& to) {
    scene_.done(host_.host().ip(fmt::format("link set {} name {}\n", from, to)),
                fmt::format("{}: {} is called {}", name_, from, to));
  }

  bool is_told_of(const std::string& name) {
    const json status = host_.status(kind_);
    return status.value("state", "") == "degraded" && status["problems"].size() == 1 &&
           status["problems"][0].get<std::string>().starts_with(
               fmt::format("interface trap0 is called {} now", name));
  }

  // The configuration has the old name, and the link the interface's index.
  void survive_other_names() {
    host_.start(kind_, "starts again");
    const std::string link = attached(host_, kind_), before = pins();
    const auto is_kept_as = [&](const std::string& name, const std::string& what) {
      scene_.check(becomes([&] { return is_told_of(name); }, std::chrono::seconds{5}),
                   fmt::format("{}: {}: it says so", name_, what),
                   host_.status(kind_)["problems"].dump());
      scene_.equal(link, attached(host_, kind_, name),
                   fmt::format("{}: {}: it keeps link and filter", name_, what));
    };
    call("trap0", "wan0");
    is_kept_as("wan0", "an interface gets another name");
    daemon_.kill();
    host_.start(kind_, "starts with a name that nothing has");
    is_kept_as("wan0", "after a restart");
    call("wan0", "wan1");
    is_kept_as("wan1", "the name changes again");
    daemon_.kill();
    call("wan1", "wan2");
    host_.start(kind_, "starts when the name changed meanwhile");
    is_kept_as("wan2", "after that restart");
    call("wan2", "trap0");
    host_.expect_to_become(
        "ok", [&] { return state_of(host_, kind_); }, name_ + ": the old name is well");
    scene_.equal(link, attached(host_, kind_), name_ + ": with the same link and filter");
    scene_.equal(before, pins(), name_ + ": and leaves no pin of other names");
    daemon_.kill();
    call("trap0", "wan0");
    host_.start(kind_, "starts with a name that is new");
    is_kept_as("wan0", "it is known by its link alone");
    daemon_.kill();
    call("wan0", "trap0");
    host_.start(kind_, "starts with the old name");
    scene_.equal("ok", state_of(host_, kind_), name_ + ": and is well");
    scene_.equal(before, pins(), name_ + ": with the pins of the first start");
    scene_.done(daemon_.stop(), name_ + ": ends well");
  }

  void leave_nothing() {
    scene_.done(daemon_.detach(), name_ + ": --detach succeeds");
    const Finished gone = orphan_status(host_, kind_);
    scene_.check(gone.exit_code == not_running &&
                     count_lines(gone.output + gone.errors,
                                 fmt::format("trap-{} does not run here", name_)) == 1,
                 name_ + ": trapctl says that nothing is left",
                 fmt::format("exit code {}: {}{}", gone.exit_code, gone.output, gone.errors));
    scene_.check(!std::filesystem::exists(daemon_.pin_directory()),
                 name_ + ": --detach removes its pins", "they are there");
    const std::string shown = fmt::format("{}{}", host_.run({"ip", "link", "show", "trap0"}).output,
                                          fmt::join(tc_programs(host_.host(), "trap0"), ", "));
    scene_.check(count_lines(shown, "prog/xdp|trap_client|trap_guard") == 0,
                 name_ + ": --detach removes what was attached", shown);
    scene_.done(daemon_.detach(), name_ + ": --detach again has nothing to do");
  }

  Scene& scene_;
  DaemonHost& host_;
  DaemonKind kind_;
  Daemon& daemon_;
  std::string name_;
};

void lifecycle(Scene& scene) {
  const auto host = DaemonHost::make(scene);
  for (const DaemonKind kind : daemon_kinds)
    if (host)
      Life{scene, *host, kind}.live();
}

// Service "web" at this port of the public address.
std::string server_at(const DaemonHost& host, int port) {
  std::string text = host.configuration(DaemonKind::server);
  const std::string usual = fmt::format("{}:80\"]", DaemonHost::address);
  return text.replace(text.find(usual), usual.size(),
                      fmt::format("{}:{}\"]", DaemonHost::address, port));
}

bool restart_with(Scene& scene, DaemonHost& host, const std::string& configuration,
                  const std::string& what) {
  Daemon& server = host.daemon(DaemonKind::server);
  return scene.done(server.stop(), "the server stops") &&
         scene.done(server.configure(configuration, std::string{interface}), what) &&
         host.start(DaemonKind::server, "starts with it");
}

int used_table_entries(DaemonHost& host) {
  const auto pin = host.daemon(DaemonKind::server).pin_directory() / "service_table";
  const json dumped = json::parse(
      host.run({"bpftool", "-j", "map", "dump", "pinned", pin.string()}).output, nullptr, false);
  int used = 0;
  for (const json& entry : dumped.is_array() ? dumped : json::array())
    used += entry["formatted"]["value"]["state"] == 1 ? 1 : 0;
  return used;
}

bool has_services_at(DaemonHost& host, std::vector<std::string> wanted) {
  std::vector<std::string> there;
  const json status = host.status(DaemonKind::server);
  for (const json& service : status["services"])
    there.push_back(service["address"]);
  std::ranges::sort(there);
  std::ranges::sort(wanted);
  return there == wanted;
}

// "*" stands for the host's addresses, of families that have a backend.
void follow_addresses(Scene& scene, DaemonHost& host) {
  std::string configuration = host.configuration(DaemonKind::server);
  const std::string usual = fmt::format("{}:80\"]", DaemonHost::address);
  configuration.replace(configuration.find(usual), usual.size(), "*:83\"]");
  if (!restart_with(scene, host, configuration, "the service is at all addresses"))
    return;
  const auto becomes_at = [&](const std::vector<std::string>& wanted, const std::string& what) {
    scene.check(becomes([&] { return has_services_at(host, wanted); }, std::chrono::seconds{3}),
                what, host.status(DaemonKind::server)["services"].dump());
  };
  const std::string own = fmt::format("{}:83", DaemonHost::address);
  becomes_at({own}, "the service is at the host's address");
  scene.done(host.host().ip("address add 203.0.113.77/32 dev lo\n"), "an address comes");
  becomes_at({own, "203.0.113.77:83"}, "the service is there too");
  scene.done(host.host().ip("address delete 203.0.113.77/32 dev lo\n"), "it goes");
  becomes_at({own}, "so does the service");
}

// The service that stays keeps its counters, one that goes is forgotten, a new one starts at zero.
void changed_services(Scene& scene) {
  const auto host = DaemonHost::make(scene);
  if (!host || !host->start(DaemonKind::server))
    return;
  host->knock();
  const std::string usual = host->configuration(DaemonKind::server);
  const json kept = host->status(DaemonKind::server)["services"][0]["counters"];
  scene.check(sum_of(kept) > 0, "the service counts packets", kept.dump());
  const std::string second = "[[service]]\nname = \"two\"\naddresses = [\"203.0.113.10:81\"]\n"
                             "[[service.backend]]\naddress = \"198.51.100.21:80\"\n"
                             "guard = \"web-2\"\nweight = 3\n";
  if (!restart_with(scene, *host, usual + second, "another service comes"))
    return;
  json services = host->status(DaemonKind::server)["services"];
  scene.check(services.size() == 2 && services[0]["counters"] == kept &&
                  services[1]["counters"] == json::object(),
              "a service keeps its counters when another comes, which starts at zero",
              services.dump());
  if (!restart_with(scene, *host, server_at(*host, 82), "one service is left, at another port"))
    return;
  services = host->status(DaemonKind::server)["services"];
  scene.check(services.size() == 1 && services[0]["address"] == "203.0.113.10:82",
              "services that are no longer configured are gone", services.dump());
  scene.equal("2", std::to_string(used_table_entries(*host)),
              "only the service's address and port are left in the map");
  if (restart_with(scene, *host, "xdp_mode = \"generic\"\n" + server_at(*host, 82),
                   "the XDP mode changes"))
    scene.equal("generic", host->status(DaemonKind::server)["interfaces"][0].value("xdp_mode", ""),
                "the program is attached in generic mode");
  follow_addresses(scene, *host);
}

const Registration register_lifecycle{{
    .name = "lifecycle",
    .goal = "daemons start, stop, die, lose interfaces and detach, and lose no state but then",
    .plan = daemons_plan(),
    .play = lifecycle,
}};

const Registration register_changed_services{{
    .name = "changed-services",
    .goal = "a server that is started with other services keeps the counters of those that stay",
    .plan = daemons_plan(),
    .play = changed_services,
}};

} // namespace
} // namespace trap::lab
