// SPDX-License-Identifier: Apache-2.0
// The checks of trapctl doctor, as tables of small functions from facts to findings.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ctl/doctor/doctor_facts.h"

namespace trap::ctl {

enum class Grade { ok, warn, fail };

const char* grade_name(Grade grade);

struct Finding {
  Grade grade = Grade::ok;
  std::string what;
  std::string mend; // the remedy; empty if all is well
};

inline Finding ok(std::string what) {
  return {Grade::ok, std::move(what), ""};
}

using Findings = std::vector<Finding>;

struct HostCheck {
  const char* name;
  const char* looks_at;
  Finding (*look)(const HostFacts& host);
};

struct PartCheck {
  const char* name;
  const char* looks_at;
  Findings (*look)(const PartFacts& part); // none: the check is not for this part
};

std::span<const HostCheck> host_checks();
std::span<const PartCheck> part_checks();

} // namespace trap::ctl
