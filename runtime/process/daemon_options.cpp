// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/daemon_options.h"
#include "runtime/output.h"
#include "runtime/version.h"

#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>

namespace trap {

std::string usual_config_path(const std::string& part) {
  return "/etc/trap/" + part + ".toml";
}

std::variant<DaemonOptions, ExitCode> parse_daemon_options(const std::string& part,
                                                           const std::string& description, int argc,
                                                           char** argv) {
  const std::string program = "trap-" + part;
  const std::map<std::string, log::Level> levels = {{"debug", log::Level::debug},
                                                    {"info", log::Level::info},
                                                    {"warn", log::Level::warn},
                                                    {"error", log::Level::error}};
  DaemonOptions options;
  options.config_path = usual_config_path(part);

  CLI::App app(description, program);
  app.set_version_flag("--version", program + " " + program_version);
  app.add_option("--config", options.config_path, "configuration file")->capture_default_str();
  app.add_flag("--check-config", options.check_config,
               "check the configuration and the key files it names, then exit");
  app.add_flag("--detach", options.detach,
               "remove what an earlier run left attached and pinned, then exit");
  app.add_flag("--note-types", options.note_types,
               "note the types of what is pinned for a start without CAP_SYS_ADMIN, then exit");
  app.add_flag(
      "--share-control", options.share_control,
      "open the control socket to control_group for a daemon without CAP_CHOWN, then exit");
  app.add_flag("--reload", options.reload,
               "let the daemon that runs read its configuration again, say what came of it, then "
               "exit");
  if (part == "guard")
    app.add_flag("--closing-rules", options.closing_rules,
                 "print rules for nft that close the protected ports unless programs are pinned, "
                 "then exit");
  app.add_flag("--list-keys", options.list_keys,
               "list every key of the configuration, with its default and what applies a change");
  app.add_flag("--json", options.json, "print the list of keys as JSON");
  std::string level = "info";
  app.add_option("--log-level", level, "how much to log")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.footer("Runs in the foreground. SIGTERM and SIGINT stop the daemon; its BPF programs stay "
             "attached and go on working.\n"
             "Exit codes: 0 ok, 1 failed, 2 command line or configuration wrong.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) { // --help, --version
    const auto printed = print_whole([&]() -> Result<ExitCode> {
      app.exit(asked);
      return ExitCode::ok;
    });
    if (!printed)
      log::final_error(program, printed.error().message);
    return printed ? *printed : printed.error().exit_code;
  } catch (const CLI::ParseError& error) {
    log::final_error(program, std::string(error.what()) + ": see " + program + " --help");
    return ExitCode::usage;
  }
  if (options.check_config + options.detach + options.note_types + options.share_control +
          options.reload + options.closing_rules + options.list_keys >
      1) {
    log::final_error(program, "--check-config, --detach, --note-types, --share-control, "
                              "--reload, --closing-rules and --list-keys do not go together");
    return ExitCode::usage;
  }
  if (options.json && !options.list_keys) {
    log::final_error(program, "--json goes with --list-keys");
    return ExitCode::usage;
  }
  options.log_level = levels.at(level);
  return options;
}

} // namespace trap
