// SPDX-License-Identifier: Apache-2.0
// trapctl doctor: finds problems of this host for TRAP, and says how to mend them.
#include <unistd.h>

#include <fmt/core.h>

#include "ctl/doctor/doctor_checks.h"
#include "ctl/doctor/doctor_gather.h"
#include "ctl/parts.h"
#include "runtime/json_text.h"
#include "runtime/printable.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

class Report {
public:
  void add(const std::string& part, const char* check, const char* looks_at,
           const Finding& finding) {
    worst_ = std::max(worst_, finding.grade);
    json_.push_back({{"part", part.empty() ? ordered_json() : ordered_json(part)},
                     {"check", check},
                     {"looks_at", looks_at},
                     {"grade", grade_name(finding.grade)},
                     {"what", finding.what},
                     {"mend", finding.mend}});
    lines_ += printable(fmt::format("{:<4}  {:<6}  {:<10}  {}{}{}", grade_name(finding.grade),
                                    part.empty() ? "host" : part, check, finding.what,
                                    finding.mend.empty() ? "" : ": ", finding.mend)) +
              "\n";
  }

  void print(bool json) const {
    fmt::print("{}", json ? json_text(ordered_json{{"checks", json_}}, 2) + "\n" : lines_);
  }
  bool is_clean() const { return worst_ == Grade::ok; }

private:
  ordered_json json_ = ordered_json::array();
  std::string lines_;
  Grade worst_ = Grade::ok;
};

// The parts that are configured or run. A part that was named is looked at in any case.
std::vector<PartFacts> find_parts(const DoctorRequest& request) {
  std::vector<std::string> names = {"server", "guard", "client"};
  if (!request.part.empty())
    names = {request.part};
  std::vector<PartFacts> found;
  for (const std::string& name : names) {
    const std::string config =
        request.config.empty() ? "/etc/trap/" + name + ".toml" : request.config;
    PartFacts facts = gather_part(name, config);
    if (!request.part.empty() || facts.daemon.runs || access(config.c_str(), F_OK) == 0)
      found.push_back(std::move(facts));
  }
  return found;
}

} // namespace

Result<ExitCode> examine(const DoctorRequest& request) {
  if (!request.config.empty() && request.part.empty())
    return Error{"--config is one part's configuration: name the part with --part",
                 ExitCode::usage};
  const std::vector<PartFacts> parts = find_parts(request);
  if (parts.empty())
    return Error{"no part of TRAP is configured or runs here: name one with --part, and its file "
                 "with --config",
                 ExitCode::not_running};
  const bool serves = std::any_of(parts.begin(), parts.end(),
                                  [](const PartFacts& part) { return part.part == "server"; });
  const HostFacts host = gather_host(serves);
  Report report;
  for (const HostCheck& check : host_checks())
    report.add("", check.name, check.looks_at, check.look(host));
  for (const PartFacts& part : parts) {
    for (const PartCheck& check : part_checks()) {
      for (const Finding& finding : check.look(part))
        report.add(part.part, check.name, check.looks_at, finding);
    }
  }
  report.print(request.json);
  return report.is_clean() ? ExitCode::ok : ExitCode::degraded;
}

} // namespace trap::ctl
