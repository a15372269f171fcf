// SPDX-License-Identifier: Apache-2.0
// trap-server, trap-guard and trap-client on their lab hosts: started from real configuration
// files, stopped, killed, detached, and asked for their status through trapctl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/hosts/counters.h"
#include "lab/hosts/host.h"
#include "lab/hosts/process.h"
#include "runtime/result.h"

namespace trap::lab {

struct Redirect {
  std::string service, local, backend;
};

struct BackendStatus {
  std::string address, state, health;
};

// A service at one of its public addresses.
struct ServiceStatus {
  std::string name, address, listener, cookies, self_test;
  bool active = false;
  std::uint64_t handshakes_lost = 0; // of the sample
  Counters counters;
  std::vector<BackendStatus> backends;
};

struct Status {
  std::string xdp_mode; // of the first interface
  Counters counters;
  std::vector<std::string> problems;
  std::vector<std::string> tc_before;   // others' programs before ours on the first interface
  std::vector<ServiceStatus> services;  // server
  std::vector<Redirect> redirects;      // client
  std::uint64_t announcements_sent = 0; // server
  bool knows_connections = false;       // server: its list of the stack's connections is trusted
  std::uint64_t flows = 0, flows_established = 0, announced = 0; // guard
};

enum class DaemonKind { server, guard, client };

std::string_view name_of(DaemonKind kind);

class Daemon {
public:
  // Writes the configuration file; nothing runs yet. pin_dir and control_socket are added to
  // `configuration`.
  static Result<Daemon> prepare(DaemonKind kind, const Host& host,
                                const std::string& configuration);

  // Replaces the configuration file; a running daemon does not notice before reload(). `interfaces`
  // as in TOML.
  Result<void> configure(const std::string& configuration,
                         const std::string& interfaces = R"("eth0")");

  // The next start is of the program in another directory: an upgrade, or a downgrade.
  void run_from(std::filesystem::path programs) { programs_ = std::move(programs); }

  // `trapctl reload`.
  Result<void> reload();

  // `trapctl` with these words, the part's control socket, and whatever it exits with.
  [[nodiscard]] Result<Finished> control(std::vector<std::string> words) const;

  // Starts it and waits until it says that it is ready, and its control socket answers.
  Result<void> start();

  // The two halves of start(), so that several daemons load their programs side by side.
  Result<void> launch();
  Result<void> wait_until_ready();

  // SIGHUP.
  void hang_up() const;

  // SIGTERM: ends the daemon, leaves its programs at work. An error if it does not end well.
  Result<void> stop();

  // SIGKILL.
  void kill();

  // Stops it if it runs, then `--detach`: takes programs and pins away.
  Result<void> detach();

  // Detaches and starts afresh: nothing learnt is left.
  Result<void> start_afresh();

  [[nodiscard]] Result<Status> status() const;
  [[nodiscard]] Result<Counters> counters() const;
  [[nodiscard]] DaemonKind kind() const { return kind_; }
  [[nodiscard]] std::filesystem::path log() const;
  [[nodiscard]] std::filesystem::path configuration_file() const;
  [[nodiscard]] std::filesystem::path control_socket() const;
  [[nodiscard]] std::filesystem::path pin_directory() const;
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }

  // The program with this configuration and these arguments, as a command on its host; its output
  // is captured.
  [[nodiscard]] Command command(std::vector<std::string> arguments) const;

private:
  Daemon(DaemonKind kind, const Host& host) : kind_(kind), host_(&host) {}
  [[nodiscard]] std::filesystem::path file(std::string_view suffix) const;
  [[nodiscard]] Command program(std::vector<std::string> more) const;
  [[nodiscard]] std::string last_log_line() const;
  [[nodiscard]] bool says_ready() const;
  DaemonKind kind_;
  const Host* host_;
  std::filesystem::path programs_ = program_directory();
  std::optional<Process> process_;
  std::uintmax_t log_before_ = 0; // bytes of the log when it was launched
};

} // namespace trap::lab
