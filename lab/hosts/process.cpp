// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/hosts/interrupt.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds poll_interval{20};

// Everything that the child needs, prepared before fork().
struct Launch {
  std::vector<char*> argv;
  int network_namespace, input, output, errors, report;
  bool as_unit;
};

// RestrictAddressFamilies= of the units (packaging/), by the same means as systemd's: other sockets
// are refused with the same error. Programs of other architectures do not matter here.
bool deny_other_families() {
  constexpr auto call_number = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
  constexpr auto first_argument = static_cast<std::uint32_t>(offsetof(seccomp_data, args));
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, call_number),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first_argument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

[[noreturn]] void give_up(int report) {
  const int reason = errno;
  [[maybe_unused]] const ssize_t written = write(report, &reason, sizeof reason);
  _exit(127);
}

[[noreturn]] void become(const Launch& launch, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(127);
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
    signal(signal_number, SIG_DFL);
  if (launch.network_namespace >= 0 && setns(launch.network_namespace, CLONE_NEWNET) != 0)
    give_up(launch.report);
  if (dup2(launch.input, STDIN_FILENO) < 0 || dup2(launch.output, STDOUT_FILENO) < 0 ||
      dup2(launch.errors, STDERR_FILENO) < 0)
    give_up(launch.report);
  if (launch.as_unit && !deny_other_families())
    give_up(launch.report);
  execvp(launch.argv[0], launch.argv.data());
  give_up(launch.report);
}

Fd memory_file(const char* name, const std::string& content = {}) {
  Fd file{memfd_create(name, MFD_CLOEXEC)};
  if (!content.empty() && write(file.get(), content.data(), content.size()) >= 0)
    lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::string content_of(const Fd& file) {
  std::string text;
  char buffer[4096];
  off_t at = 0;
  for (ssize_t got; file.get() >= 0 && (got = pread(file.get(), buffer, sizeof buffer, at)) > 0;
       at += got)
    text.append(buffer, static_cast<std::size_t>(got));
  return text;
}

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// A program's output on one line.
std::string one_line(std::string text) {
  text.erase(text.find_last_not_of(" \n\r\t") + 1);
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2)
    text.replace(at, 1, "; ");
  return text;
}

constexpr long timeout_scale_max = 100;

long timeout_scale() {
  const char* text = std::getenv("TRAP_LAB_TIMEOUT_SCALE");
  char* end = nullptr;
  const long times = text != nullptr ? std::strtol(text, &end, 10) : 1;
  return times >= 1 && times <= timeout_scale_max && (end == nullptr || *end == '\0') ? times : 1;
}

} // namespace

std::filesystem::path program_directory() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
}

std::filesystem::path former_program_directory() {
  const char* former = std::getenv("TRAP_LAB_FORMER");
  return former != nullptr && *former != '\0' ? std::filesystem::path{former} : program_directory();
}

std::string Command::text() const {
  std::string joined;
  for (const std::string& argument : arguments)
    joined += (joined.empty() ? "" : " ") + argument;
  return joined;
}

Result<Process> Process::start(const Command& command) {
  Process process;
  const Fd input = memory_file("stdin", command.input);
  if (command.log.empty()) {
    process.output_ = memory_file("stdout");
    process.errors_ = memory_file("stderr");
  } else {
    process.output_ =
        Fd{open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  }
  int report[2];
  if (input.get() < 0 || process.output_.get() < 0 || pipe2(report, O_CLOEXEC) != 0)
    return Error{"cannot prepare to run " + command.text() + ": " + std::strerror(errno)};
  const Fd report_read{report[0]};
  Fd report_write{report[1]};

  Launch launch{{},
                command.network_namespace,
                input.get(),
                process.output_.get(),
                command.log.empty() ? process.errors_.get() : process.output_.get(),
                report_write.get(),
                command.as_unit};
  for (const std::string& argument : command.arguments)
    launch.argv.push_back(const_cast<char*>(argument.c_str()));
  launch.argv.push_back(nullptr);

  const pid_t parent = getpid();
  process.pid_ = fork();
  if (process.pid_ == 0)
    become(launch, parent);
  report_write = Fd{};
  int reason = 0;
  if (process.pid_ < 0 || read(report_read.get(), &reason, sizeof reason) == sizeof reason)
    return Error{"cannot run " + command.text() + ": " +
                 std::strerror(process.pid_ < 0 ? errno : reason)};
  process.for_cleanup_ = command.for_cleanup;
  process.pidfd_ = Fd{static_cast<int>(syscall(SYS_pidfd_open, process.pid_, 0))};
  return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), exit_code_(other.exit_code_),
      for_cleanup_(other.for_cleanup_), pidfd_(std::move(other.pidfd_)),
      output_(std::move(other.output_)), errors_(std::move(other.errors_)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    exit_code_ = other.exit_code_;
    for_cleanup_ = other.for_cleanup_;
    pidfd_ = std::move(other.pidfd_);
    output_ = std::move(other.output_);
    errors_ = std::move(other.errors_);
  }
  return *this;
}

Process::~Process() {
  kill_and_reap();
}

// The group is killed while its leader is still unreaped, so that its id cannot have become
// another's.
void Process::kill_and_reap() {
  if (pid_ <= 0)
    return;
  kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_code_ = exit_code_of(status);
  pid_ = -1;
}

bool Process::running() {
  if (pid_ > 0 && sleep_until_end(milliseconds{0}, false) == Wake::ended)
    kill_and_reap();
  return pid_ > 0;
}

Process::Wake Process::sleep_until_end(milliseconds deadline, bool heed_interrupts) {
  const auto until = std::chrono::steady_clock::now() + scale_timeout(deadline);
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
    pollfd waiting[2] = {{pidfd_.get(), POLLIN, 0}, {interrupt_descriptor(), POLLIN, 0}};
    poll(waiting, heed_interrupts ? 2 : 1,
         static_cast<int>(std::max(left, milliseconds{0}).count()));
    if (waiting[0].revents != 0)
      return Wake::ended;
    if (heed_interrupts && interrupted())
      return Wake::interrupt;
    if (left <= milliseconds{0})
      return Wake::deadline;
  }
}

Finished Process::finished(bool timed_out) const {
  return {exit_code_, timed_out, content_of(output_), content_of(errors_)};
}

Result<Finished> Process::wait(milliseconds deadline) {
  Wake wake = Wake::ended;
  if (running()) {
    wake = sleep_until_end(deadline, !for_cleanup_);
    kill_and_reap();
  }
  if (wake == Wake::interrupt)
    return Error{"interrupted"};
  return finished(wake == Wake::deadline);
}

Finished Process::stop(int signal_number, milliseconds deadline) {
  bool timed_out = false;
  if (running()) {
    kill(-pid_, signal_number);
    timed_out = sleep_until_end(deadline, false) != Wake::ended;
    kill_and_reap();
  }
  return finished(timed_out);
}

Result<Finished> run(const Command& command, milliseconds deadline) {
  if (interrupted() && !command.for_cleanup)
    return Error{"interrupted"};
  auto process = Process::start(command);
  if (!process)
    return process.error();
  return process->wait(deadline);
}

Result<std::string> run_checked(const Command& command, milliseconds deadline) {
  auto finished = run(command, deadline);
  if (!finished)
    return finished.error();
  if (finished->timed_out)
    return Error{command.text() + ": no end within " + std::to_string(deadline.count()) + " ms"};
  if (finished->exit_code != 0)
    return Error{command.text() + ": exit code " + std::to_string(finished->exit_code) + ": " +
                 one_line(finished->errors.empty() ? finished->output : finished->errors)};
  return std::move(finished->output);
}

bool sleep_for(milliseconds duration) {
  const auto until = std::chrono::steady_clock::now() + duration;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
    if (interrupted())
      return false;
    if (left <= milliseconds{0})
      return true;
    pollfd waiting{interrupt_descriptor(), POLLIN, 0};
    poll(&waiting, 1, static_cast<int>(left.count()));
  }
}

milliseconds scale_timeout(milliseconds timeout) {
  static const long times = timeout_scale();
  return timeout * times;
}

bool becomes(const std::function<bool()>& holds, milliseconds within) {
  const auto until = std::chrono::steady_clock::now() + scale_timeout(within);
  while (!holds())
    if (std::chrono::steady_clock::now() >= until || !sleep_for(poll_interval))
      return false;
  return true;
}

} // namespace trap::lab
