// SPDX-License-Identifier: Apache-2.0
// Lines for journald carry fields. A child plays systemd's service, with a journal of its own.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/core.h>

#include "runtime/fd.h"
#include "runtime/log.h"

namespace trap::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char journal[] = "/run/systemd/journal";

// The journal's socket, on a /run that only this process sees; -1 without the right to.
int private_journal() {
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0)
    return -1;
  std::filesystem::create_directories(journal);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  fmt::format_to_n(address.sun_path, sizeof(address.sun_path) - 1, "{}/socket", journal);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? fd : -1;
}

// stderr is this file, and JOURNAL_STREAM says so, or names another one.
void point_stderr_at(int file, bool is_the_journal) {
  struct stat here;
  fstat(file, &here);
  dup2(file, STDERR_FILENO);
  setenv("JOURNAL_STREAM", fmt::format("{}:{}", here.st_dev, here.st_ino + !is_the_journal).c_str(),
         1);
}

// What a child that logs one line sends to the journal, and behind it what it writes to stderr.
std::string logged_by_child(bool is_the_journal) {
  int ends[2];
  if (pipe(ends) != 0)
    return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const int socket = private_journal();
    char path[] = "/tmp/trap-journal-test-XXXXXX";
    const int file = mkstemp(path);
    unlink(path);
    if (socket < 0 || file < 0)
      _exit(77);
    point_stderr_at(file, is_the_journal);
    log::start(log::Level::info, "server");
    log::warn({.service = "web", .backend = "198.51.100.20:80"},
              "backend {} is down (drop-announce-time, drop-no-key)\n", "b");
    char bytes[4096];
    const ssize_t sent = recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT);
    const ssize_t written = pread(file, bytes + std::max<ssize_t>(sent, 0), 1024, 0);
    const auto all = static_cast<std::size_t>(std::max<ssize_t>(sent, 0) + written);
    _exit(write(ends[1], bytes, all) == static_cast<ssize_t>(all) ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char bytes[4096];
  for (ssize_t got; (got = read(ends[0], bytes, sizeof(bytes))) > 0;)
    text.append(bytes, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status) == 77 ? "no rights" : text;
}

TEST(Journal, gets_fields_beside_the_line) {
  const std::string sent = logged_by_child(true);
  if (sent == "no rights")
    GTEST_SKIP() << "a mount namespace needs root";
  EXPECT_THAT(sent, HasSubstr("MESSAGE=backend b is down (drop-announce-time, drop-no-key)\\n\n"));
  EXPECT_THAT(sent, HasSubstr("PRIORITY=4\n"));
  EXPECT_THAT(sent, HasSubstr("TRAP_PART=server\n"));
  EXPECT_THAT(sent, HasSubstr("TRAP_SERVICE=web\n"));
  EXPECT_THAT(sent, HasSubstr("TRAP_BACKEND=198.51.100.20:80\n"));
  EXPECT_THAT(sent, HasSubstr("TRAP_VERDICT=drop-announce-time\n"));
  EXPECT_THAT(sent, HasSubstr("TRAP_VERDICT=drop-no-key\n"));
  EXPECT_EQ(sent.find("TRAP_VERDICT=drop-announce\n"), std::string::npos); // which it does not name
  EXPECT_THAT(sent, Not(HasSubstr("TRAP_INTERFACE")));
  EXPECT_THAT(sent, Not(HasSubstr("warn"))); // nothing on stderr
}

TEST(Journal, is_not_used_by_a_daemon_whose_stderr_goes_elsewhere) {
  const std::string sent = logged_by_child(false);
  if (sent == "no rights")
    GTEST_SKIP() << "a mount namespace needs root";
  EXPECT_THAT(sent, Not(HasSubstr("TRAP_PART")));
  EXPECT_THAT(sent, HasSubstr("backend b is down"));
}

} // namespace
} // namespace trap::test
