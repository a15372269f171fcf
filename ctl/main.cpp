// SPDX-License-Identifier: Apache-2.0
// trapctl: keys and status. This file is its command line.
#include <string>

#include <CLI/CLI.hpp>

#include "ctl/commands.h"
#include "runtime/log.h"

namespace {

struct CommandLine {
  std::string file;
  std::string guard;
  std::string master_file = "/etc/trap/master.key";
  std::string output = "-";
  trap::ctl::StatusRequest status;
};

trap::Result<trap::ExitCode> done(const trap::Result<void>& result) {
  if (!result)
    return result.error();
  return trap::ExitCode::ok;
}

} // namespace

int main(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Keys and status of TRAP.", "trapctl");
  app.set_version_flag("--version", "trapctl " TRAP_VERSION_STRING);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 ok, 1 failed, 2 command line or key file wrong, 3 nothing runs, 4 degraded.");

  CLI::App* key = app.add_subcommand("key", "make keys");
  key->require_subcommand(1);
  CLI::App* generate = key->add_subcommand("generate", "make a master key, for all TRAP servers and nobody else");
  generate->add_option("FILE", line.file, "new file, or - for stdout")->required();
  CLI::App* derive = key->add_subcommand("derive", "make a guard's key from the master key");
  derive->add_option("GUARD", line.guard, "name of the guard, as in the server's configuration")->required();
  derive->add_option("--master", line.master_file, "master key file")->capture_default_str();
  derive->add_option("--output", line.output, "new file, or - for stdout")->capture_default_str();

  CLI::App* status = app.add_subcommand("status", "show what the parts on this host do");
  status->add_option("PART", line.status.part, "server, guard or client; without it, every part there is")
      ->check(CLI::IsMember({"server", "guard", "client"}));
  status->add_option("--socket", line.status.socket, "control socket, if it is not the usual one");
  status->add_option("--pin-dir", line.status.pin_dir, "pin_dir, if it is not the usual one");
  status->add_flag("--json", line.status.json, "as JSON");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) { // --help, --version
    app.exit(asked);
    return 0;
  } catch (const CLI::ParseError& error) {
    trap::log::final_error("trapctl", std::string(error.what()) + ": see trapctl --help");
    return static_cast<int>(trap::ExitCode::usage);
  }

  auto code = generate->parsed() ? done(trap::ctl::generate_key(line.file))
              : derive->parsed() ? done(trap::ctl::derive_key(line.guard, line.master_file, line.output))
                                 : trap::ctl::show_status(line.status);
  if (code)
    return static_cast<int>(*code);
  trap::log::final_error("trapctl", code.error().message);
  return static_cast<int>(code.error().exit_code);
}
