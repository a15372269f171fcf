// SPDX-License-Identifier: Apache-2.0
// trapctl against running daemons: reload, key status, backend, redirects, knock, top; and what
// each says when it cannot.
#include <ctime>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

using nlohmann::json;

constexpr DaemonKind server = DaemonKind::server, client = DaemonKind::client;
constexpr DaemonKind guard = DaemonKind::guard;
// A group of every Debian; the lab makes none.
constexpr int degraded = 4; // exit code; the neighbour's link has no GRO
constexpr std::string_view reading_group = "daemon", other_group = "games";
constexpr std::string_view first_backend = "198.51.100.20:80", second_backend = "198.51.100.21:80";

class Control {
public:
  Control(Scene& scene, DaemonHost& host) : scene_(scene), host_(host) {}

  void play() {
    open_directories();
    for (const DaemonKind kind : daemon_kinds)
      if (!scene_.done(host_.configure(kind, settings(kind, 0)),
                       fmt::format("{}: is configured", name_of(kind))) ||
          !host_.start(kind))
        return;
    for (const DaemonKind kind : daemon_kinds) {
      reload(kind);
      changed_key(kind);
      list_of_keys(kind);
    }
    size_changes();
    at_no_socket({"reload", "server"}, "server does not run", "reload, no daemon there");
    for (const DaemonKind kind : {DaemonKind::server, DaemonKind::guard})
      keys(kind);
    complains(client, {"key", "status"}, 3, "server.s and the guard.s", "key status of a client");
    backends();
    redirects();
    knocks();
    top();
    members_read();
    members_change_nothing();
    others_do_not_get_in();
    a_member_knocks();
    the_unit_opens_a_socket();
    for (const DaemonKind kind : daemon_kinds)
      a_lost_socket_is_told(kind);
  }

private:
  static std::string settings(DaemonKind kind, int offset) {
    return fmt::format("metrics_listen = \"127.0.0.1:{}\"\ncontrol_group = \"{}\"\n",
                       9464 + offset + static_cast<int>(kind), reading_group);
  }

  // trapctl as a user without any capability, in these groups.
  Finished as_user(std::string_view groups, DaemonKind kind, std::vector<std::string> words) {
    std::vector<std::string> command = {"setpriv", "--reuid=65534", "--regid=65534",
                                        groups.empty() ? "--clear-groups"
                                                       : fmt::format("--groups={}", groups),
                                        (program_directory() / "trapctl").string()};
    command.insert(command.end(), words.begin(), words.end());
    command.insert(command.end(), {"--socket", host_.daemon(kind).control_socket().string()});
    return host_.run(std::move(command));
  }

  // As /run/trap is; the lab's folders are root's.
  void open_directories() {
    namespace fs = std::filesystem;
    for (fs::path at = host_.daemon(client).control_socket().parent_path();
         at != "/tmp" && at != "/"; at = at.parent_path()) {
      std::error_code failed;
      fs::permissions(at, fs::perms::others_exec, fs::perm_options::add, failed);
    }
  }

  void members_read() {
    const std::pair<DaemonKind, std::vector<std::string>> commands[] = {
        {server, {"status", "server"}},
        {guard, {"status", "guard"}},
        {client, {"status", "client"}},
        {server, {"key", "status", "server"}},
        {server, {"backend", "list"}},
        {client, {"redirects"}},
        {guard, {"guard", "mode"}},
        {guard, {"guard", "suspects"}},
        {server, {"top", "server", "--once", "--interval", "0.1"}},
        {server, {"explain", "--packet", "tcp 203.0.113.2:4242 > 203.0.113.10:80 SYN"}}};
    for (const auto& [kind, words] : commands) {
      const Finished done = as_user(reading_group, kind, words);
      scene_.check((done.exit_code == 0 || done.exit_code == degraded) && done.errors.empty(),
                   fmt::format("a member of the group: {}", fmt::join(words, " ")),
                   done.output + done.errors);
      if (words[0] == "explain")
        scene_.check(count_lines(done.output, "^  withheld ") == 1 &&
                         count_lines(done.output, "^  answer ") == 0,
                     "it shows a member no answer, which has a cookie", done.output);
    }
  }

  void members_change_nothing() {
    const std::string backend{first_backend};
    const std::pair<DaemonKind, std::vector<std::string>> commands[] = {
        {server, {"reload", "server"}},
        {server, {"backend", "drain", "web", backend}},
        {guard, {"guard", "monitor"}},
        {client, {"redirects", "flush"}}};
    for (const auto& [kind, words] : commands)
      host_.expect_complaint(as_user(reading_group, kind, words), 1,
                             "is for root alone.*run as root",
                             fmt::format("a member is refused: {}", fmt::join(words, " ")));
    scene_.equal("active", of_backend(first_backend, "state"), "and the backend is active still");
  }

  void others_do_not_get_in() {
    for (const std::string_view groups : {std::string_view{}, other_group})
      host_.expect_complaint(
          as_user(groups, client, {"status", "client"}), 1,
          fmt::format("Permission denied.*run as root, or as a member of group {}", reading_group),
          fmt::format("a user in {} is told how to get in", groups.empty() ? "no group" : groups));
  }

  void a_member_knocks() {
    const Finished done = as_user(reading_group, client, {"knock", "203.0.113.2:80", "--json"});
    const json told = json::parse(done.output, nullptr, false);
    std::string segments;
    for (const json& step : told.is_object() ? told["steps"] : json::array())
      segments += (segments.empty() ? "" : ", ") + step.value("segment", "");
    scene_.equal("SYN, RST", segments, "a member knocks, by the daemon");
    scene_.equal("1", std::to_string(done.exit_code), "at a host that does not listen");
    host_.expect_complaint(as_user(reading_group, client, {"knock", "198.18.0.1:80"}), 1,
                           "no route to 198.18.0.1:80", "a member's knock: no route");
    host_.expect_complaint(
        as_user(reading_group, client, {"knock", "203.0.113.2:80", "--timeout", "6"}), 2,
        "50 to 5000 ms", "a member's knock: a timeout that the daemon does not wait");
    int refused = 0;
    for (int i = 0; i < 15 && refused == 0; i++)
      refused = count_lines(as_user(reading_group, client, {"knock", "203.0.113.2:80"}).errors,
                            "once in 6 s");
    scene_.equal("1", std::to_string(refused), "members' knocks are bounded in rate");
  }

  // Where the daemon may not do it itself.
  void the_unit_opens_a_socket() {
    const std::string socket = host_.daemon(client).control_socket().string();
    host_.run({"chown", "root:root", socket});
    host_.run({"chmod", "600", socket});
    const json problems = host_.status(client)["problems"];
    scene_.check(problems.dump().find("--share-control") != std::string::npos,
                 "a socket that is not open to the group is a problem", problems.dump());
    host_.run_program(
        "trap-client",
        {"--config", host_.daemon(client).configuration_file().string(), "--share-control"});
    scene_.equal("0",
                 std::to_string(as_user(reading_group, client, {"status", "client"}).exit_code),
                 "--share-control opens it");
  }

  // The daemon works on and cannot be asked: the log says so, and trapctl does not take it for one
  // that has ended.
  void a_lost_socket_is_told(DaemonKind kind) {
    const std::string name = fmt::format("trap-{}", name_of(kind));
    const Daemon& daemon = host_.daemon(kind);
    host_.run({"rm", daemon.control_socket().string()});
    host_.expect_to_become(
        "told",
        [&] {
          return host_.count_in_log(kind, "control socket .* is gone") > 0 ? "told" : "not told";
        },
        name + ": the log tells that its control socket is gone");
    const std::string runs = fmt::format("{} runs \\(process {}\\)", name, daemon.pid());
    const std::string pins = daemon.pin_directory().string();
    const Finished status =
        host_.run_program("trapctl", {"status", std::string{name_of(kind)}, "--pin-dir", pins});
    scene_.equal("1", std::to_string(count_lines(status.output, runs)),
                 name + ": status says that it runs");
    const Finished seen =
        host_.run_program("trapctl", {"doctor", "--part", std::string{name_of(kind)}, "--config",
                                      daemon.configuration_file().string()});
    scene_.equal("1", std::to_string(count_lines(seen.output, runs)),
                 name + ": doctor says that it runs");
  }

  void complains(DaemonKind kind, std::vector<std::string> words, int exit_code,
                 const std::string& pattern, std::string_view what) {
    host_.expect_complaint(host_.control(kind, std::move(words)), exit_code, pattern, what);
  }

  void at_no_socket(std::vector<std::string> words, const std::string& pattern,
                    std::string_view what) {
    words.insert(words.end(), {"--socket", (host_.host().directory() / "none.sock").string()});
    host_.expect_complaint(host_.run_program("trapctl", std::move(words)), 3, pattern, what);
  }

  void reload(DaemonKind kind) {
    const std::string name{name_of(kind)};
    const Finished done = host_.control(kind, {"reload", name});
    scene_.equal("0", std::to_string(done.exit_code), name + ": reload succeeds");
    const std::string said = done.output + done.errors;
    scene_.check(count_lines(said, "") == 1 && count_lines(said, "^trap-" + name + ": ") == 1,
                 name + ": reload tells in one line", said);
    const json told = host_.control_json(kind, {"reload", name});
    scene_.check(told.is_array() && told[0].value("part", "") == name &&
                     !told[0]["reloaded"].empty(),
                 name + ": reload as JSON", told.dump());
    scene_.done(host_.configure(kind, settings(kind, 500)), name + ": metrics_listen changes");
    complains(kind, {"reload", name}, 2, "metrics_listen.*restart",
              name + ": a change that needs a restart");
    scene_.equal("degraded", host_.status(kind).value("state", ""),
                 name + ": goes on, and says so in status");
    scene_.done(host_.configure(kind, settings(kind, 0)), name + ": it changes back");
    host_.control(kind, {"reload", name});
    scene_.equal("ok", host_.status(kind).value("state", ""), name + ": a good reload mends it");
  }

  // A key that a reload applies: the line names it, and the status has its value.
  void changed_key(DaemonKind kind) {
    const std::string name{name_of(kind)};
    struct Change {
      const char *key, *value;
    };
    const Change change = kind == server   ? Change{"announce_rate", "7"}
                          : kind == client ? Change{"renew", "false"}
                                           : Change{"management_ports", "[2222]"};
    const auto reload_said = [&] { return host_.control(kind, {"reload", name}).output; };
    scene_.check(count_lines(reload_said(), ": nothing has changed$") == 1,
                 name + ": a reload of the same says so", reload_said());
    const std::string line = fmt::format("{} = {}\n", change.key, change.value);
    scene_.done(host_.configure(kind, settings(kind, 0) + line), name + ": a key changes");
    const std::string said = reload_said();
    scene_.check(count_lines(said, fmt::format("^trap-{}: {} ", name, change.key)) == 1,
                 name + ": the reload names the key", said);
    scene_.equal(change.value, host_.status(kind)["config"][change.key].dump(),
                 name + ": and the status has its value");
    scene_.done(host_.configure(kind, settings(kind, 0)), name + ": it changes back");
    host_.control(kind, {"reload", name});
  }

  // --list-keys in both forms, and the status, have the same keys.
  void list_of_keys(DaemonKind kind) {
    const std::string name{name_of(kind)}, program = "trap-" + name;
    const json list =
        json::parse(host_.run_program(program, {"--list-keys", "--json"}).output, nullptr, false);
    const std::string lines = host_.run_program(program, {"--list-keys"}).output;
    int outer = 0, missing = 0;
    const json config = host_.status(kind)["config"];
    for (const json& entry : list.is_array() ? list : json::array()) {
      const std::string key = entry.value("key", "");
      const bool is_outer = key.find('.') == std::string::npos;
      outer += is_outer ? 1 : 0;
      missing += is_outer && !config.contains(key) ? 1 : 0;
    }
    scene_.check(outer > 0 && missing == 0 && config.size() == static_cast<std::size_t>(outer),
                 name + ": the status has every key that is listed", config.dump());
    scene_.equal(std::to_string(list.size() + 1), std::to_string(count_lines(lines, "\t.*\t.*\t")),
                 name + ": the list in words has the same number");
    host_.expect_complaint(host_.run_program(program, {"--json"}), 2, "goes with --list-keys",
                           name + ": --json alone");
  }

  void size_changes() {
    for (const DaemonKind kind : {DaemonKind::guard, client}) {
      const std::string name{name_of(kind)};
      scene_.done(host_.configure(kind, settings(kind, 0) + "max_flows = 1024\n"),
                  name + ": the size of a table changes");
      complains(kind, {"reload", name}, 2, "max_flows from [0-9]+ to 1024: restart",
                name + ": a size that needs a restart");
      scene_.done(host_.configure(kind, settings(kind, 0)), name + ": it changes back");
      host_.control(kind, {"reload", name});
    }
  }

  void keys(DaemonKind kind) {
    const std::string name{name_of(kind)};
    const json told = host_.control_json(kind, {"key", "status", name});
    const std::string words = host_.control(kind, {"key", "status", name}).output;
    int held = 0;
    json present;
    for (const json& epoch : told.is_array() ? told[0]["epochs"] : json::array()) {
      if (epoch.value("role", "") == "present")
        present = epoch;
      held += epoch.value("role", "") != "ahead" && epoch.value("held", false) ? 1 : 0;
    }
    scene_.equal(host_.status(kind)["keys"]["epoch"].dump(), present.value("epoch", json{}).dump(),
                 name + ": key status has the present epoch");
    const std::time_t now = std::time(nullptr);
    scene_.check(present.value("since_unix_s", now + 1) <= now &&
                     now < present.value("until_unix_s", now),
                 name + ": its time is now", present.dump());
    scene_.equal("3", std::to_string(held), name + ": it and its neighbours are held");
    scene_.equal("3", std::to_string(count_lines(words, "(previous|present|next) .* held$")),
                 name + ": key status in words");
  }

  // A field of a backend in `trapctl backend list web`.
  std::string of_backend(std::string_view address, const char* field) {
    const json list = host_.control_json(server, {"backend", "list", "web"});
    for (const json& backend : list.is_array() ? list : json::array())
      if (backend.value("address", "") == address)
        return text_of(backend.value(field, json{}));
    return "none";
  }

  void backends() {
    const std::string first{first_backend};
    scene_.equal("active active",
                 of_backend(first, "state") + " " + of_backend(second_backend, "state"),
                 "backend list: both are active");
    const std::string words = host_.control(server, {"backend", "list"}).output;
    scene_.check(count_lines(words, "^web +203.0.113.10:80 +198.51.100.2[01]:80 +web-1 .*active") ==
                     2,
                 "backend list in words", words);
    scene_.equal(
        "0", std::to_string(host_.control(server, {"backend", "drain", "web", first}).exit_code),
        "backend drain: succeeds");
    scene_.equal("draining", of_backend(first, "state"), "backend drain: its state");
    scene_.equal("0.0 100.0",
                 of_backend(first, "share_percent") + " " +
                     of_backend(second_backend, "share_percent"),
                 "backend drain: its share goes to the other");
    host_.control(server, {"reload", "server"});
    scene_.equal("draining", of_backend(first, "state"), "backend drain: survives a reload");
    host_.control(server, {"backend", "activate", "web", first});
    scene_.equal("active", of_backend(first, "state"), "backend activate: its state");
    complains(server, {"backend", "drain", "web", "198.51.100.99:80"}, 2, "198.51.100.99:80",
              "backend: not one of the service");
    complains(server, {"backend", "drain", "nosuch", first}, 2, "nosuch",
              "backend: no such service");
    complains(server, {"backend", "list", "nosuch"}, 2, "nosuch",
              "backend: no such service to list");
    complains(server, {"backend", "drain", "web", "198.51.100.20"}, 2, "no port",
              "backend: no port");
    complains(server, {"backend", "drain", "../reload", first}, 2, "service.s name",
              "backend: a name that is none");
  }

  void redirects() {
    scene_.equal("[]", host_.control_json(client, {"redirects"}).dump(),
                 "redirects: a client that connected to no service has none");
    scene_.equal("1",
                 std::to_string(count_lines(host_.control(client, {"redirects"}).output,
                                            "^SERVICE .* FALLBACKS$")),
                 "redirects in words");
    scene_.equal("0 redirect(s) forgotten\n", host_.control(client, {"redirects", "flush"}).output,
                 "redirects flush: of nothing, nothing");
    complains(client, {"redirects", "flush", "203.0.113.10:80"}, 2,
              "no redirect of 203.0.113.10:80", "redirects flush: one that is not held");
    complains(client, {"redirects", "flush", "web"}, 2, "no port", "redirects flush: no address");
    complains(server, {"redirects"}, 2, "a client.s", "redirects of a server");
    at_no_socket({"redirects"}, "does not run", "redirects, no daemon there");
  }

  void knocks() {
    const std::string trapctl = (program_directory() / "trapctl").string();
    const auto complains_of = [&](std::vector<std::string> words, int exit_code,
                                  const std::string& pattern, std::string_view what) {
      host_.expect_complaint(host_.run(std::move(words)), exit_code, pattern, what);
    };
    complains_of({trapctl, "knock", "203.0.113.10"}, 2, "no port", "knock: no port");
    complains_of({trapctl, "knock", "203.0.113.10:80", "--timeout", "0"}, 2, "timeout",
                 "knock: a timeout that is none");
    complains_of({trapctl, "knock", "198.18.0.1:80"}, 1, "no route to 198.18.0.1:80",
                 "knock: no route");
    complains_of({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", trapctl, "knock",
                  "203.0.113.2:80"},
                 1, "run as root", "knock: not root");
    const json told = json::parse(host_.run({trapctl, "knock", "203.0.113.2:80", "--json"}).output,
                                  nullptr, false);
    std::string segments;
    for (const json& step : told.is_object() ? told["steps"] : json::array())
      segments += (segments.empty() ? "" : ", ") + step.value("segment", "");
    scene_.equal("SYN, RST", segments, "knock: at a host that does not listen");
  }

  // SYNs a second of the service in a first page of `trapctl top`.
  double syns_per_s() {
    const json page = host_.control_json(server, {"top", "server", "--once", "--interval", "2"});
    for (const json& service : page.is_object() ? page["services"] : json::array())
      if (service.value("service", "") == "web")
        return service["per_s"].value("syn", 0.0);
    return 0;
  }

  void top() {
    std::jthread neighbour([&](const std::stop_token& stop) {
      while (!stop.stop_requested())
        host_.knock();
    });
    scene_.check(syns_per_s() > 0, "top --once --json: SYNs of the server's service are counted",
                 "there are none");
    neighbour.request_stop();
    neighbour.join();
    for (const DaemonKind kind : {DaemonKind::server, DaemonKind::guard}) {
      const std::string name{name_of(kind)};
      const std::string page =
          host_.control(kind, {"top", name, "--once", "--interval", "0.1"}).output;
      scene_.equal("1", std::to_string(count_lines(page, "^trap-" + name)),
                   name + ": top --once prints a table");
    }
    auto piped = host_.host().command(
        {"timeout", "2", (program_directory() / "trapctl").string(), "top", "server", "--socket",
         host_.daemon(server).control_socket().string(), "--interval", "0.1"});
    const auto pages = run(piped, std::chrono::seconds{10});
    scene_.check(pages && count_lines(pages->output, "^trap-server") > 2 &&
                     pages->output.find('\033') == std::string::npos,
                 "top into a pipe: one plain table after the other",
                 pages ? pages->output : pages.error().message);
    at_no_socket({"top", "server", "--once"}, "does not run", "top, no daemon there");
    complains(server, {"top", "server", "--interval", "0"}, 2, "interval",
              "top: an interval that is none");
  }

  Scene& scene_;
  DaemonHost& host_;
};

void control(Scene& scene) {
  if (const auto host = DaemonHost::make(scene))
    Control{scene, *host}.play();
}

const Registration register_control{{
    .name = "control",
    .goal = "trapctl orders and shows, and says in one line what it cannot",
    .plan = daemons_plan(),
    .play = control,
}};

} // namespace
} // namespace trap::lab
