// SPDX-License-Identifier: Apache-2.0
// Asks a part's own program about its configuration: no other program knows all of it.
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/doctor/doctor_gather.h"
#include "runtime/fd.h"

namespace trap::ctl {
namespace {

constexpr std::size_t answer_limit_bytes = 65536;

// Beside trapctl, where a build has it, or where it is installed.
std::string program_of(const std::string& part) {
  std::error_code failed;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  for (const auto& directory : {here, here / "../sbin", std::filesystem::path("/usr/sbin"),
                                std::filesystem::path("/usr/local/sbin")}) {
    std::string path = (directory / ("trap-" + part)).lexically_normal();
    if (access(path.c_str(), X_OK) == 0)
      return path;
  }
  return "";
}

// Starts it with its standard error into `out`. 0 or an errno value.
int start(const std::string& program, const std::string& config_path, int out, pid_t& pid) {
  const std::string option = "--check-config";
  const std::string config = "--config";
  std::array<char*, 5> arguments = {
      const_cast<char*>(program.c_str()), const_cast<char*>(option.c_str()),
      const_cast<char*>(config.c_str()), const_cast<char*>(config_path.c_str()), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
  const int failed =
      posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

// The last line, without the program's name: what it ended with.
std::string reason_of(std::string text, const std::string& part) {
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  if (const std::size_t line = text.rfind('\n'); line != std::string::npos)
    text.erase(0, line + 1);
  const std::string name = "trap-" + part + ": ";
  return text.starts_with(name) ? text.substr(name.size()) : text;
}

} // namespace

std::string check_config(const std::string& part, const std::string& config_path) {
  const std::string program = program_of(part);
  int ends[2];
  if (program.empty() || pipe2(ends, O_CLOEXEC) != 0)
    return "";
  const Fd in(ends[0]);
  Fd out(ends[1]);
  pid_t pid = 0;
  if (int failed = start(program, config_path, out.get(), pid))
    return "cannot run " + program + ": " + error_text(failed);
  out.reset();
  const auto text = read_all(in.get(), program, answer_limit_bytes);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return "";
  const std::string reason = text ? reason_of(*text, part) : text.error().message;
  return reason.empty() ? program + " --check-config failed without a word" : reason;
}

} // namespace trap::ctl
