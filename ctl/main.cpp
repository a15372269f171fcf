// SPDX-License-Identifier: Apache-2.0
// trapctl: keys, status, reload, backends, the guard's mode, rates and diagnosis. This file is its
// command line.
#include <algorithm>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "ctl/commands.h"
#include "runtime/log.h"
#include "runtime/output.h"
#include "runtime/version.h"

namespace {

using trap::ExitCode;
using trap::Result;

// The options of all subcommands, and the action of the one that was chosen.
struct CommandLine {
  std::string file;
  std::string guard;
  std::string master_file = "/etc/trap/master.key";
  std::string output = "-";
  trap::ctl::PartRequest parts;
  trap::ctl::ReadyRequest ready;
  trap::ctl::BackendRequest backend;
  trap::ctl::RedirectRequest redirects;
  trap::ctl::KnockRequest knock;
  trap::ctl::GuardRequest guard_control;
  trap::ctl::TopRequest top;
  trap::ctl::ExplainOptions explain;
  trap::ctl::CaptureRequest capture;
  trap::ctl::DecodeRequest decode;
  trap::ctl::DoctorRequest doctor;
  std::function<Result<ExitCode>()> act;
};

Result<ExitCode> done(const Result<void>& result) {
  if (!result)
    return result.error();
  return ExitCode::ok;
}

// A number of `least` to `most`; CLI::Range lets "nan" pass.
CLI::Validator seconds(double least, double most) {
  return {[least, most](const std::string& text) {
            double number = 0;
            return CLI::detail::lexical_cast(text, number) && number >= least && number <= most
                       ? std::string()
                       : fmt::format("{} is no number of {} to {}", text, least, most);
          },
          fmt::format("FLOAT in [{:g} - {:g}]", least, most)};
}

// A path or name. An empty one is a variable of a script that was not set, and not the usual one.
CLI::Validator not_empty() {
  return {[](const std::string& text) { return std::string(text.empty() ? "it is empty" : ""); },
          ""};
}

void add_socket(CLI::App* command, std::string& socket, const std::string& whose = "") {
  command->add_option("--socket", socket, whose + "control socket, if it is not the usual one")
      ->check(not_empty());
}

void add_part_options(CLI::App* command, trap::ctl::PartRequest& parts, const char* what,
                      const std::vector<std::string>& choices) {
  command->add_option("PART", parts.part, what)->check(CLI::IsMember(choices));
  add_socket(command, parts.socket);
  command->add_flag("--json", parts.json, "as JSON");
}

void add_keys(CLI::App& app, CommandLine& line) {
  CLI::App* key = app.add_subcommand("key", "make keys, and show the keys in use");
  key->require_subcommand(1);
  CLI::App* generate = key->add_subcommand("generate", "make a master key, for TRAP servers only");
  generate->add_option("FILE", line.file, "new file, or - for stdout")->required();
  generate->callback(
      [&line] { line.act = [&line] { return done(trap::ctl::generate_key(line.file)); }; });

  CLI::App* derive = key->add_subcommand("derive", "make a guard's key from the master key");
  derive->add_option("GUARD", line.guard, "name of the guard, as in the server's configuration")
      ->required();
  derive->add_option("--master", line.master_file, "master key file")
      ->check(not_empty())
      ->capture_default_str();
  derive->add_option("--output", line.output, "new file, or - for stdout")
      ->check(not_empty())
      ->capture_default_str();
  derive->callback([&line] {
    line.act = [&line] {
      return done(trap::ctl::derive_key(line.guard, line.master_file, line.output));
    };
  });

  CLI::App* status = key->add_subcommand("status", "show the epochs of the keys in use");
  add_part_options(status, line.parts, "server or guard; without it, both if they run",
                   {"server", "guard"});
  status->callback(
      [&line] { line.act = [&line] { return trap::ctl::show_key_status(line.parts); }; });
}

void add_backends(CLI::App& app, CommandLine& line) {
  CLI::App* backend = app.add_subcommand("backend", "list backends, drain one, activate it again");
  backend->require_subcommand(1);
  auto add = [&](const char* action, const char* what) {
    CLI::App* command = backend->add_subcommand(action, what);
    add_socket(command, line.backend.socket, "the server's ");
    command->add_flag("--json", line.backend.json, "as JSON");
    command->callback([&line, action] {
      line.backend.action = action;
      line.act = [&line] { return trap::ctl::manage_backends(line.backend); };
    });
    return command;
  };
  add("list", "show the backends, their state, health and share of the clients")
      ->add_option("SERVICE", line.backend.service, "only the backends of this service")
      ->check(not_empty());
  for (CLI::App* command :
       {add("drain", "send no new clients to a backend; its present clients stay"),
        add("activate", "send clients to a backend again")}) {
    command->add_option("SERVICE", line.backend.service, "name of the service")->required();
    command->add_option("BACKEND", line.backend.backend, "the backend's address and port")
        ->required();
  }
}

void add_ready(CLI::App& app, CommandLine& line) {
  CLI::App* ready = app.add_subcommand(
      "ready", "say whether a service of trap-server can take clients now: for routers");
  ready->add_option("SERVICE", line.ready.service, "name of the service; without it, all of them")
      ->check(not_empty());
  add_socket(ready, line.ready.socket, "the server's ");
  ready->add_flag("--json", line.ready.json, "as JSON");
  ready->callback(
      [&line] { line.act = [&line] { return trap::ctl::show_readiness(line.ready); }; });
}

void add_redirects(CLI::App& app, CommandLine& line) {
  CLI::App* redirects =
      app.add_subcommand("redirects", "list the redirects that trap-client holds, or flush them");
  CLI::App* flush = redirects->add_subcommand(
      "flush", "forget redirects: the next connection asks the TRAP server again");
  flush
      ->add_option("SERVICE", line.redirects.service,
                   "only the redirects of this service: its public address and port")
      ->check(not_empty());
  for (CLI::App* command : {redirects, flush}) {
    add_socket(command, line.redirects.socket, "the client's ");
    command->add_flag("--json", line.redirects.json, "as JSON");
  }
  redirects->callback([&line, flush] {
    line.redirects.flush = flush->parsed();
    line.act = [&line] { return trap::ctl::manage_redirects(line.redirects); };
  });
}

void add_knock(CLI::App& app, CommandLine& line) {
  CLI::App* knock =
      app.add_subcommand("knock", "connect to a service as a client does, and show each step");
  knock->add_option("SERVICE", line.knock.service, "public address or name, and port")->required();
  knock->add_option("--timeout", line.knock.timeout_s, "seconds to wait for each answer")
      ->check(seconds(0.05, 60))
      ->capture_default_str();
  add_socket(knock, line.knock.socket, "the client's ");
  knock->add_flag("--json", line.knock.json, "as JSON");
  knock->callback([&line] { line.act = [&line] { return trap::ctl::knock(line.knock); }; });
}

void add_guard(CLI::App& app, CommandLine& line) {
  CLI::App* guard = app.add_subcommand(
      "guard", "choose whether the guard drops the packets it refuses, or only counts them");
  guard->require_subcommand(1);
  auto add = [&](const char* action, const char* what) {
    CLI::App* command = guard->add_subcommand(action, what);
    add_socket(command, line.guard_control.socket, "the guard's ");
    command->add_flag("--json", line.guard_control.json, "as JSON");
    command->callback([&line, action] {
      line.guard_control.action = action;
      line.act = [&line] { return trap::ctl::manage_guard(line.guard_control); };
    });
    return command;
  };
  add("mode", "show whether the guard drops the packets it refuses");
  CLI::App* enforce = add("enforce", "drop the packets it refuses");
  enforce->add_option("--confirm", line.guard_control.confirm,
                      "go back to monitoring after this time (60s, 5m) unless confirmed");
  enforce->add_flag("--force", line.guard_control.force, "enforce in spite of warnings");
  add("confirm", "go on enforcing");
  add("monitor", "drop nothing; count the packets it refuses");
  add("suspects", "list the sources whose packets would be dropped");
}

void add_views(CLI::App& app, CommandLine& line) {
  const std::vector<std::string> parts = {"server", "guard", "client"};
  CLI::App* status = app.add_subcommand("status", "show the state of the parts on this host");
  add_part_options(status, line.parts, "server, guard or client; without it, every part that runs",
                   parts);
  status->add_option("--pin-dir", line.parts.pin_dir, "pin_dir, if it is not the usual one")
      ->check(not_empty());
  status->callback([&line] { line.act = [&line] { return trap::ctl::show_status(line.parts); }; });

  CLI::App* reload = app.add_subcommand(
      "reload", "make the parts on this host read their configuration and keys again");
  add_part_options(reload, line.parts, "server, guard or client; without it, every part that runs",
                   parts);
  reload->callback([&line] { line.act = [&line] { return trap::ctl::reload(line.parts); }; });

  CLI::App* top =
      app.add_subcommand("top", "show packets a second, service by service, until q is pressed");
  add_part_options(top, line.top.parts, "server, guard or client; without it, every part that runs",
                   parts);
  top->add_option("--interval", line.top.interval_s, "seconds")
      ->check(seconds(0.1, 3600))
      ->capture_default_str();
  top->add_flag("--once", line.top.once, "print one table and end");
  top->callback([&line] { line.act = [&line] { return trap::ctl::show_top(line.top); }; });
}

void add_diagnosis(CLI::App& app, CommandLine& line) {
  const std::vector<std::string> parts = {"server", "guard", "client"};
  CLI::App* explain = app.add_subcommand(
      "explain", "show the verdict on a packet, and the reason; changes nothing");
  explain
      ->add_option("--part", line.explain.parts.part,
                   "server, guard or client; without it, every part that runs")
      ->check(CLI::IsMember(parts));
  explain
      ->add_option("--packet", line.explain.packet,
                   "the packet, as in 'tcp 198.51.100.7:4242 > 203.0.113.10:443 SYN mss=1460'")
      ->check(not_empty());
  explain
      ->add_option("--pcap", line.explain.pcap,
                   "all packets of a capture file instead; - for stdin")
      ->check(not_empty());
  explain
      ->add_option("--direction", line.explain.direction,
                   "out: the packet leaves this host, where trap-client judges it")
      ->check(CLI::IsMember({"in", "out"}))
      ->capture_default_str();
  add_socket(explain, line.explain.parts.socket);
  explain->add_flag("--json", line.explain.parts.json, "as JSON, one object a line");
  explain->callback([&line] { line.act = [&line] { return trap::ctl::explain(line.explain); }; });

  CLI::App* capture = app.add_subcommand(
      "capture", "write packets with these verdicts to a pcapng file, a sample of them");
  capture
      ->add_option("--verdict", line.capture.verdicts,
                   "name of a verdict, as drop-uninvited, or drop-* for all that begin so")
      ->required();
  capture->add_option("-w,--write", line.capture.file, "a new file; - for stdout")
      ->check(not_empty())
      ->required();
  capture
      ->add_option("--part", line.capture.parts.part,
                   "server, guard or client; without it, every part that runs")
      ->check(CLI::IsMember(parts));
  capture->add_option("--count", line.capture.count, "packets, at most")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100000}))
      ->capture_default_str();
  capture->add_option("--seconds", line.capture.seconds, "time, at most")
      ->check(seconds(0.1, 86400))
      ->capture_default_str();
  add_socket(capture, line.capture.parts.socket);
  capture->callback([&line] { line.act = [&line] { return trap::ctl::capture(line.capture); }; });

  CLI::App* decode = app.add_subcommand(
      "decode", "show the TRAP messages of a capture, field by field; asks no daemon");
  decode->add_option("--pcap", line.decode.pcap, "the capture file; - for stdin")
      ->check(not_empty())
      ->required();
  decode->add_flag("--all", line.decode.all, "packets without a TRAP message as well");
  decode->add_flag("--json", line.decode.json, "as JSON, one object a line");
  decode->callback([&line] { line.act = [&line] { return trap::ctl::decode(line.decode); }; });

  CLI::App* doctor =
      app.add_subcommand("doctor", "examine this host for TRAP, and say how to mend problems");
  doctor
      ->add_option("--part", line.doctor.part,
                   "server, guard or client; without it, every part that is configured or runs")
      ->check(CLI::IsMember(parts));
  doctor
      ->add_option("--config", line.doctor.config,
                   "the part's configuration file, if it is not the usual one")
      ->check(not_empty());
  doctor->add_flag("--json", line.doctor.json, "as JSON");
  doctor->callback([&line] { line.act = [&line] { return trap::ctl::examine(line.doctor); }; });
}

// The error in the command line, and the command that it is for.
std::string usage_text(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  std::string name = "trapctl";
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  const auto below = command->get_subcommands([](const CLI::App*) { return true; });
  if (below.empty() || dynamic_cast<const CLI::RequiredError*>(&error) == nullptr)
    return fmt::format("{}: see {} --help", error.what(), name);
  std::vector<std::string> names(below.size());
  std::ranges::transform(below, names.begin(), [](const CLI::App* one) { return one->get_name(); });
  return fmt::format("{}: write one of {}: see {} --help", name == "trapctl" ? "no command" : name,
                     fmt::join(names, ", "), name);
}

// The exit code of a command; an error has been told.
int carry_out(const std::function<Result<ExitCode>()>& act) {
  const auto code = trap::print_whole([&act]() -> Result<ExitCode> {
    try {
      return act();
    } catch (const nlohmann::json::exception& other_form) {
      return trap::Error{fmt::format("the daemon's answer has another form than expected: is it of "
                                     "this version? ({})",
                                     other_form.what())};
    }
  });
  if (!code)
    trap::log::final_error("trapctl", code.error().message);
  return static_cast<int>(code ? *code : code.error().exit_code);
}

} // namespace

int main(int argc, char** argv) {
  trap::prepare_to_write();
  CommandLine line;
  CLI::App app("Keys, status and control of TRAP.", "trapctl");
  app.set_version_flag("--version", std::string{"trapctl "} + trap::program_version);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 ok, 1 failed, 2 command line, configuration or key file wrong, 3 "
             "nothing runs, 4 degraded.");
  add_views(app, line);
  add_ready(app, line);
  add_backends(app, line);
  add_redirects(app, line);
  add_knock(app, line);
  add_guard(app, line);
  add_keys(app, line);
  add_diagnosis(app, line);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) { // --help, --version
    return carry_out([&]() -> Result<ExitCode> {
      app.exit(asked);
      return ExitCode::ok;
    });
  } catch (const CLI::ParseError& error) {
    trap::log::final_error("trapctl", usage_text(app, error));
    return static_cast<int>(ExitCode::usage);
  }
  return carry_out(line.act);
}
