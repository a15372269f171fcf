// SPDX-License-Identifier: Apache-2.0
// A host on which the three daemons run by themselves, and a neighbour that knocks at it:
//
//   daemons: trap0 203.0.113.10 --- neighbour: trap1 203.0.113.2
//            guard0             ---            guard1     (an interface takes one XDP program)
//
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "lab/scenarios/scenario.h"

namespace trap::lab {

// Only keys and hosts; each scenario starts the daemons that it wants.
inline DeploymentPlan daemons_plan() {
  return {.started = false};
}

inline constexpr DaemonKind daemon_kinds[] = {DaemonKind::server, DaemonKind::guard,
                                              DaemonKind::client};

class DaemonHost {
public:
  static constexpr std::string_view address = "203.0.113.10", neighbour_address = "203.0.113.2";

  // Null after a failed check. The destructor prints the ends of the logs if a check failed.
  static std::unique_ptr<DaemonHost> make(Scene& scene);
  ~DaemonHost();
  DaemonHost(const DaemonHost&) = delete;
  DaemonHost& operator=(const DaemonHost&) = delete;

  [[nodiscard]] const Host& host() const { return host_; }
  [[nodiscard]] const Host& neighbour() const { return neighbour_; }
  [[nodiscard]] Daemon& daemon(DaemonKind kind) {
    return daemons_.at(static_cast<std::size_t>(kind));
  }

  // A new link between the two hosts, with the addresses of trap0 and trap1.
  Result<void> add_link(std::string_view near, std::string_view far) const;

  // The part's usual configuration, without interfaces; server: service "web" with two backends,
  // guard: service "web".
  [[nodiscard]] std::string configuration(DaemonKind kind) const;

  // Writes the usual configuration, at the part's own interface, behind these keys.
  Result<void> configure(DaemonKind kind, const std::string& keys = {});

  // Starts the daemon, as a check.
  bool start(DaemonKind kind, std::string_view what = "starts");

  // trapctl with the part's socket, in the daemons' host, for at most 30 s.
  Finished control(DaemonKind kind, std::vector<std::string> words);
  // The same with --json, parsed; a discarded value if it is no JSON.
  nlohmann::json control_json(DaemonKind kind, std::vector<std::string> words);
  nlohmann::json status(DaemonKind kind);
  // A program of this project in the daemons' host, such as "trapctl".
  Finished run_program(std::string_view program, std::vector<std::string> arguments);
  // Any program there.
  Finished run(std::vector<std::string> arguments);

  // A SYN or two to the protected port, whatever comes of them.
  void knock() const;
  // Does a connection of the neighbour come about before a second SYN would?
  [[nodiscard]] bool lets_in() const;

  // Lines of the daemon's log that match the ECMAScript `pattern`.
  [[nodiscard]] int count_in_log(DaemonKind kind, const std::string& pattern);

  // Checks: an exit code, and one line on stderr that matches the ECMAScript `pattern`.
  void expect_complaint(const Finished& finished, int exit_code, const std::string& pattern,
                        std::string_view what);

  // Asks for up to 30 s until the text is `wanted`.
  void expect_to_become(std::string_view wanted, const std::function<std::string()>& ask,
                        std::string_view what);

private:
  DaemonHost(Scene& scene, Host host, Host neighbour)
      : scene_(&scene), host_(std::move(host)), neighbour_(std::move(neighbour)) {}
  Result<void> prepare();

  Scene* scene_;
  Host host_, neighbour_;
  std::vector<Daemon> daemons_;
};

// "trapctl" prints this for people: does a line match the ECMAScript `pattern`? How many do?
int count_lines(const std::string& text, const std::string& pattern);

// A value of a status as text: strings as they are, everything else as JSON.
std::string text_of(const nlohmann::json& value);

} // namespace trap::lab
