// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/sshd.h"

#include <csignal>
#include <fstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "lab/hosts/addresses.h"
#include "lab/hosts/files.h"
#include "lab/hosts/listening.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds key_deadline{5000}, login_deadline{20000}, sshd_stop_deadline{5000};

// Debian's sshd insists on this directory, which its service file makes.
constexpr std::string_view chroot_directory = "/run/sshd";

// Without PAM a locked password refuses a key as well; with PAM a machine's session modules have a
// say. Only who must asks PAM.
bool root_is_locked() {
  std::ifstream shadow{"/etc/shadow"};
  for (std::string line; std::getline(shadow, line);)
    if (line.starts_with("root:"))
      return line.starts_with("root:!");
  return false;
}

std::string configuration(const fs::path& directory, int port) {
  return fmt::format("Port {1}\n"
                     "ListenAddress 0.0.0.0\nListenAddress ::\n"
                     "HostKey {0}/host_key\n"
                     "AuthorizedKeysFile {0}/user_key.pub\n"
                     "PermitRootLogin prohibit-password\nPasswordAuthentication "
                     "no\nKbdInteractiveAuthentication no\n"
                     "StrictModes no\nUsePAM {2}\nUseDNS no\nPidFile none\nPrintMotd no\n",
                     directory.string(), port, root_is_locked() ? "yes" : "no");
}

Result<void> make_key(const fs::path& file) {
  auto made = run_checked(Command{{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "trap-lab",
                                   "-f", file.string()},
                                  -1,
                                  {},
                                  {},
                                  false},
                          key_deadline);
  if (!made)
    return made.error();
  return {};
}

// The host key, for whichever of the lab's addresses leads to this sshd.
Result<void> write_known_hosts(const fs::path& directory) {
  std::ifstream key{directory / "host_key.pub"};
  std::string type, words;
  key >> type >> words;
  return write_text(directory / "known_hosts", fmt::format("* {} {}\n", type, words));
}

Result<void> prepare(const fs::path& directory, int port) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed)
    return Error{"cannot create " + directory.string() + ": " + failed.message()};
  for (const std::string_view key : {"host_key", "user_key"})
    if (auto made = make_key(directory / key); !made)
      return made;
  if (auto written = write_known_hosts(directory); !written)
    return written;
  return write_text(directory / "sshd_config", configuration(directory, port));
}

// Since 9.8 (Debian 13), sshd turns a host away whose connections end before a login, as those of
// tests do, unless it is told not to; earlier ones refuse to start with that key.
bool knows(const Host& host, std::vector<std::string> arguments) {
  arguments.emplace_back("-t");
  const auto tried = run(host.command(arguments), key_deadline);
  return tried && tried->exit_code == 0;
}

} // namespace

Result<Sshd> Sshd::start(const Host& host, int port) {
  const fs::path directory = host.directory() / "sshd";
  if (auto prepared = prepare(directory, port); !prepared)
    return prepared.error();
  std::error_code failed;
  const bool made_chroot = fs::create_directory(chroot_directory, failed);
  std::vector<std::string> arguments = {
      "/usr/sbin/sshd", "-f", (directory / "sshd_config").string(), "-o", "PerSourcePenalties=no"};
  if (!knows(host, arguments))
    arguments.resize(arguments.size() - 2);
  arguments.insert(arguments.end(), {"-D", "-e"});
  Command command = host.command(arguments);
  command.log = directory / "output.log";
  auto process = Process::start(command);
  if (!process)
    return process.error();
  Sshd sshd{directory, port, made_chroot, std::move(*process)};
  if (auto listens = wait_until_accepting(host, "127.0.0.1", port); !listens)
    return Error{fmt::format("sshd: {}; see {}", listens.error().message, command.log.string())};
  return sshd;
}

Sshd::Sshd(Sshd&& other) noexcept
    : directory_(std::move(other.directory_)), port_(other.port_),
      made_chroot_(std::exchange(other.made_chroot_, false)), process_(std::move(other.process_)) {}

Sshd::~Sshd() {
  process_.stop(SIGTERM, sshd_stop_deadline);
  std::error_code ignored;
  if (made_chroot_)
    fs::remove(chroot_directory, ignored);
}

Result<Finished> Sshd::login(const Host& from, std::string_view address,
                             const std::string& command) const {
  return run(from.command({"ssh",
                           "-F",
                           "none",
                           "-i",
                           (directory_ / "user_key").string(),
                           "-p",
                           std::to_string(port_),
                           "-o",
                           "UserKnownHostsFile=" + (directory_ / "known_hosts").string(),
                           "-o",
                           "GlobalKnownHostsFile=/dev/null",
                           "-o",
                           "StrictHostKeyChecking=yes",
                           "-o",
                           "IdentitiesOnly=yes",
                           "-o",
                           "IdentityAgent=none",
                           "-o",
                           "BatchMode=yes",
                           "-o",
                           "ConnectTimeout=10",
                           "-o",
                           "ConnectionAttempts=1",
                           "root@" + std::string{address},
                           command}),
             login_deadline);
}

} // namespace trap::lab
