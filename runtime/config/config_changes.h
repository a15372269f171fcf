// SPDX-License-Identifier: Apache-2.0
// The difference between two configurations, key by key, as the declarations tell it: what a reload
// applies and what it must refuse. No change at all is "nothing has changed".
#pragma once

#include <string>
#include <vector>

#include "runtime/config/key.h"
#include "runtime/result.h"

namespace trap {

struct Change {
  std::string key;  // `service "web": port`
  std::string text; // `service "web": port from 80 to 81`
  AppliedBy by = AppliedBy::reload;
};

struct Changes {
  std::vector<Change> applied; // by a reload
  std::vector<Change> refused; // these take a restart or --detach

  bool none() const { return applied.empty() && refused.empty(); }
};

// `before` and `after` are trees of View::comparison.
Changes changes_between(const std::vector<KeyFacts>& keys, const ConfigNode& before,
                        const ConfigNode& after);

template <class Config>
Changes changes_between(const Keys<Config>& keys, const Config& before, const Config& after) {
  return changes_between(facts_of(keys), show_keys(keys, before, View::comparison),
                         show_keys(keys, after, View::comparison));
}

// An error that names every key of `refused`, and says what applies them.
// `part`: "server"; `path`: of the configuration.
Result<void> refuse_changes(const Changes& changes, const std::string& part,
                            const std::string& path);

// One line with what a reload applies, at most a few hundred bytes long; "nothing has changed".
std::string describe_changes(const Changes& changes);

} // namespace trap
