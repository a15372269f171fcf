// SPDX-License-Identifier: Apache-2.0
// The one reload of all parts: read, plan, apply, describe. A part fills in the steps for its
// active configuration, a struct with a member `config`.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "runtime/config/config_changes.h"
#include "runtime/result.h"

namespace trap {

// `Active` is a part's configuration in force with its keys and its plan.
template <class Active> class ReloadSteps {
public:
  using Config = decltype(Active::config);

  virtual ~ReloadSteps() = default;

  // The declarations of the configuration's keys. They say which changes a reload refuses.
  virtual const Keys<Config>& keys() const = 0;

  // Reads the configuration file of `now` anew.
  virtual Result<std::unique_ptr<Active>> read(const Active& now) = 0;

  // Reads keys and works out where everything goes. Touches nothing that packets meet.
  virtual Result<void> plan(const Active& now, Active& next) = 0;

  // Changes maps from `now` to `next`. On error `now` holds again, or the message says what to do.
  virtual Result<void> apply(const Active& now, const Active& next) = 0;

  // Follows up once `now` is in force and `before` about to go. Adds to `changes` those that no key
  // of the configuration shows.
  virtual void settle(const Active& before, const Active& now, Changes& changes) = 0;

  // One line.
  virtual std::string describe(const Changes& changes) { return describe_changes(changes); }
};

// Replaces `active` and returns the line of describe(); on error `active` stays.
template <class Active>
Result<std::string> reload(std::unique_ptr<Active>& active, ReloadSteps<Active>& steps) {
  auto next = steps.read(*active);
  if (!next)
    return next.error();
  const auto& config = (*next)->config;
  Changes changes = changes_between(steps.keys(), active->config, config);
  if (auto allowed = refuse_changes(changes, config.part.part, config.part.path); !allowed)
    return allowed.error();
  if (auto planned = steps.plan(*active, **next); !planned)
    return planned.error();
  if (auto applied = steps.apply(*active, **next); !applied)
    return applied.error();
  const std::unique_ptr<Active> before = std::exchange(active, std::move(*next));
  steps.settle(*before, *active, changes);
  return steps.describe(changes);
}

} // namespace trap
