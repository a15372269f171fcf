// SPDX-License-Identifier: Apache-2.0
// The answer to POST /explain, which all parts give in the same form.
#pragma once

#include <string>
#include <vector>

#include "runtime/kernel/explainer.h"

namespace trap {

struct ExplainRequest {
  bool outgoing = false; // leaves this host; only a client looks at that
  Frame frame;
};

// A part's facts about a verdict, beside the verdict's own text.
struct Reasons {
  std::string service;              // its name, and where it is; empty: none
  std::vector<std::string> because; // what decided, a line each
  std::string becomes;              // how a packet that passes goes on, if it was changed
};

std::string explanation_json(const std::string& part, const ExplainRequest& request,
                             const Explained& explained, const Reasons& reasons);

// "12 s", "3 min", "2 h": for people.
std::string duration_text(std::uint64_t seconds);

} // namespace trap
