// SPDX-License-Identifier: Apache-2.0
// The stage of a scenario: a lab with TRAP deployed, and checks that print one TAP-like line each.
// Carrying something out never throws or returns early: what cannot be done is a failed check.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lab/deployment/deployment.h"
#include "lab/deployment/visit.h"
#include "lab/hosts/terminal.h"

namespace trap::lab {

class Scene {
public:
  Scene(Deployment& deployment, const Terminal& terminal)
      : deployment_(&deployment), terminal_(&terminal) {}

  [[nodiscard]] Deployment& trap() { return *deployment_; }
  [[nodiscard]] const Host& host(std::string_view name) const {
    return deployment_->topology().host(name);
  }
  [[nodiscard]] int failures() const { return failures_; }
  [[nodiscard]] int checks() const { return checks_; }

  // Prints `ok N - what`, or `not ok N - what` and why. Returns `holds`.
  bool check(bool holds, std::string_view what, std::string_view why_not);

  // Prints `# line`, which is no check.
  void note(std::string_view line) { terminal_->line("# " + std::string{line}); }

  // The same for something that was to be done.
  bool done(const Result<void>& result, std::string_view what);

  // Fetches from a host and reads the counters before and after.
  Visit visit(const Host& from, const std::string& url,
              std::chrono::milliseconds deadline = std::chrono::seconds{20});
  Visit visit(std::string_view from, const std::string& url,
              std::chrono::milliseconds deadline = std::chrono::seconds{20}) {
    return visit(host(from), url, deadline);
  }

  // As the client, a path of the service at its public address.
  Visit visit_service(Family family, std::string_view path) {
    return visit("client", Deployment::public_url(family, path));
  }

  // The same for a value and the one that it must have.
  bool equal(std::string_view wanted, std::string_view got, std::string_view what);

  // `trapctl redirects flush`: the next connection is a first one.
  void forget_redirects();

  // Waits until some of a transfer's body has arrived; false if it ends before, or nothing comes.
  static bool wait_until_under_way(Transfer& transfer);

  // Checks of a visit that must have been handed over by the server, or must have gone straight to
  // the service.
  void expect_whole(const Visit& visit, Family family, std::uint64_t bytes, std::string_view what);
  void expect_handed_over(const Visit& visit, std::string_view what);
  void expect_straight(const Visit& visit, std::string_view what);

private:
  Deployment* deployment_;
  const Terminal* terminal_;
  int checks_ = 0, failures_ = 0;
};

} // namespace trap::lab
