// SPDX-License-Identifier: Apache-2.0
// One of the three parts (server, guard, client) as its main loop sees it: a part is read, started,
// ticked, asked and detached. Also the steps that parts with XDP links share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/config/part_config.h"
#include "runtime/control/readiness.h"
#include "runtime/result.h"
#include "runtime/undo.h"

namespace trap {

class Metrics;
struct ExplainRequest;

class Part {
public:
  Part() = default;
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  virtual ~Part() = default;

  virtual const PartConfig& config() const = 0;

  // The whole configuration that is in force, key by key, for GET /status.
  virtual ConfigNode shown_config() const = 0;

  virtual bool needs_raw_sockets() const { return false; }

  // Reads the key files that the configuration names.
  virtual Result<void> read_keys() { return {}; }

  // Settings that are valid but may not be intended: one line each that says what to do. For
  // --check-config, which starts nothing.
  virtual std::vector<std::string> warnings() { return {}; }

  // Whether a start would refuse what an earlier run has pinned, or lacks the memory. For
  // --check-config.
  virtual Result<void> check_start() { return {}; }

  // For the unit, before a start: rules for nft that hold until programs are attached. Empty: none.
  virtual std::string closing_rules() { return ""; }

  // Loads, fills and attaches everything. `undo` takes the changes back unless the whole start
  // succeeds.
  virtual Result<void> start(Undo& undo) = 0;

  // Removes the attachments and pins of this or an earlier run; the part is not started, and has no
  // keys.
  virtual Result<void> detach() = 0;

  // The time between two calls of tick().
  virtual unsigned tick_ms() const { return 1000; }
  virtual void tick() = 0;

  // Reads configuration and keys again and applies them without a packet lost
  // (runtime/process/reload.h). Returns one line that says what changed.
  virtual Result<std::string> reload() = 0;

  // A command of the control socket, as POST /WORD/WORD...: returns JSON. An unknown one is
  // unknown_command().
  virtual Result<std::string> command(const std::vector<std::string>& words);

  // The fate of a packet and the reasons for it, as JSON (runtime/control/explain_json.h). Changes
  // nothing.
  virtual Result<std::string> explain(const ExplainRequest& request) = 0;

  // Adds this part's families to GET /metrics.
  virtual void measure(Metrics& metrics) = 0;

  // Adds this part's fields to GET /status; its problems are not among them.
  virtual void describe(nlohmann::ordered_json& status) = 0;

  // Of each public address, whether clients get somewhere; empty for a part without such addresses.
  virtual std::vector<Readiness> readiness() { return {}; }

  // The reasons why the part does not work as configured, one line each. Every scrape asks: it is
  // as cheap as looking at the attachments.
  virtual std::vector<std::string> problems() = 0;

  // Ends the line that says that programs stay attached when the daemon stops.
  virtual std::string parting_words() { return ""; }

  // A descriptor that is readable when handle_events has something to do, or -1.
  virtual int event_fd() const { return -1; }
  virtual void handle_events() {}
};

// An error with ExitCode::usage that names the words.
Error unknown_command(const PartConfig& config, const std::vector<std::string>& words);

// An error unless all interfaces that the configuration names exist.
Result<void> check_interfaces(const PartConfig& config);

// --detach of a part with XDP links: removes links, then what `detach_more` removes, pins and
// pin_dir. Logs one line that ends with `consequence`, if there is one.
Result<void> detach_xdp_part(
    const PartConfig& config, const std::string& consequence,
    const std::function<void()>& detach_more = [] {});

} // namespace trap
