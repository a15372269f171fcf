// SPDX-License-Identifier: Apache-2.0
// The subcommands of trap-lab. Each returns the exit code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trap::lab {

struct Options {
  std::filesystem::path report; // empty: the subcommand's default
  bool colour = true;
  bool keep = false;  // stay up until interrupted
  bool bare = false;  // `up`: hosts and links only, no program on them
  bool brief = false; // `demo`: without the flood that has a CPU of its own
};

int demo_command(const Options& options);
int run_command(const Options& options, const std::vector<std::string>& scenarios);
// The scenarios, for people or as a JSON array of {"name", "goal", "room", "class"}.
int list_command(bool as_json);
// The cells of the equality matrix, as a JSON array of {"axis", "name", "outcome", "remark",
// "quick"}.
int cells_command();
int up_command(const Options& options);
int shell_command(const std::string& host);
int cleanup_command();

} // namespace trap::lab
