// SPDX-License-Identifier: Apache-2.0
// trap-lab: TRAP between hosts that are network namespaces, for the demo, the tests and a look
// around.
#include <cstdio>
#include <cstring>

#include <CLI/CLI.hpp>

#include "lab/commands.h"
#include "lab/traffic/flood.h"
#include "runtime/output.h"
#include "runtime/result.h"
#include "runtime/version.h"

namespace {

using trap::ExitCode;
using trap::lab::Options;

struct Arguments {
  Options options;
  bool no_colour = false, json = false;
  std::vector<std::string> scenarios;
  std::string host;
};

void describe(CLI::App& app, Arguments& arguments) {
  app.require_subcommand(1);
  app.set_version_flag("--version", trap::program_version);
  app.fallthrough();
  app.add_option("--report", arguments.options.report, "Write measurements to FILE (JSON)")
      ->type_name("FILE");
  app.add_flag("--no-color", arguments.no_colour, "Plain text");
  app.add_flag("--keep", arguments.options.keep, "Leave the lab up until interrupted");
  app.add_subcommand("demo", "Show TRAP defending a service from a SYN flood, in about a minute")
      ->add_flag("--short", arguments.options.brief,
                 "Without the flood that has a CPU of its own: half a minute");
  app.add_subcommand("run", "Run test scenarios, one lab each; `all` for every one")
      ->add_option("SCENARIO", arguments.scenarios, "See `trap-lab list`")
      ->required();
  app.add_subcommand("list", "List the scenarios")
      ->add_flag("--json", arguments.json, "For programs");
  app.add_subcommand("cells", "Print the equality matrix: set-ups, and how clients are served");
  app.add_subcommand("shell", "A shell on a host of a lab that is up")
      ->add_option("HOST", arguments.host, "client, router, ...")
      ->required();
  app.add_subcommand("up", "Bring the lab up with TRAP at work, until interrupted")
      ->add_flag("--bare", arguments.options.bare, "Hosts and links only: no program runs on them");
  app.add_subcommand("cleanup", "Remove the remains of a killed lab");
}

int dispatch(const CLI::App& app, const Arguments& arguments) {
  using namespace trap::lab;
  if (app.got_subcommand("demo"))
    return demo_command(arguments.options);
  if (app.got_subcommand("run"))
    return run_command(arguments.options, arguments.scenarios);
  if (app.got_subcommand("list"))
    return list_command(arguments.json);
  if (app.got_subcommand("cells"))
    return cells_command();
  if (app.got_subcommand("shell"))
    return shell_command(arguments.host);
  if (app.got_subcommand("up"))
    return up_command(arguments.options);
  return cleanup_command();
}

} // namespace

int main(int argc, char** argv) {
  trap::prepare_to_write();
  if (argc > 1 && std::strcmp(argv[1], "flood") == 0)
    return trap::lab::run_flood_generator({argv + 2, argv + argc});

  CLI::App app{"TRAP between hosts that are network namespaces of this machine", "trap-lab"};
  Arguments arguments;
  describe(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0)
      return app.exit(error); // --help
    const auto remaining = app.remaining();
    const std::string what =
        remaining.empty() ? error.what() : "unknown argument \"" + remaining.front() + "\"";
    std::fprintf(stderr, "trap-lab: %s: see trap-lab --help\n", what.c_str());
    return static_cast<int>(ExitCode::usage);
  }
  arguments.options.colour = !arguments.no_colour;
  return dispatch(app, arguments);
}
