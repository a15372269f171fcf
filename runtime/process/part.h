// SPDX-License-Identifier: Apache-2.0
// What the three daemons have in common, as seen by the main loop: a part is read, started, ticked,
// asked and detached.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/config/part_config.h"
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
  virtual bool needs_raw_sockets() const { return false; }

  // Reads the key files that the configuration names.
  virtual Result<void> read_keys() { return {}; }

  // What is right, but may not be meant: one line each that says what to do. For --check-config,
  // which starts nothing.
  virtual std::vector<std::string> warnings() { return {}; }

  // Loads, fills and attaches everything. What it changes is taken back by `undo` unless the whole
  // start succeeds.
  virtual Result<void> start(Undo& undo) = 0;

  // Removes what this or an earlier run left attached and pinned; not started, and without keys.
  virtual Result<void> detach() = 0;

  // How often tick() is called while running.
  virtual unsigned tick_ms() const { return 1000; }
  virtual void tick() = 0;

  // Reads configuration and keys again and applies them without a packet lost. Returns one line
  // that says what changed. On error nothing has changed. A key that only a restart can apply
  // (pin_dir, control_socket, option_kind) is an error that says so.
  virtual Result<std::string> reload() {
    return Error{"trap-" + config().part + " cannot reload: restart it, which loses nothing"};
  }

  // A command of the control socket, as POST /WORD/WORD...: returns JSON. An unknown one is an
  // error with ExitCode::usage.
  virtual Result<std::string> command(const std::vector<std::string>& words);

  // What would become of a packet, and why, as JSON (runtime/control/explain_json.h). Changes
  // nothing.
  virtual Result<std::string> explain(const ExplainRequest& request);

  // Adds this part's families to GET /metrics.
  virtual void measure(Metrics&) {}

  // Ends the line that says that programs stay attached when the daemon stops.
  virtual std::string parting_words() { return ""; }

  // A descriptor that is readable when handle_events has something to do, or -1.
  virtual int event_fd() const { return -1; }
  virtual void handle_events() {}

  // Adds this part's fields of GET /status, and what keeps it from working as configured to
  // `problems`.
  virtual void describe(nlohmann::ordered_json& status, std::vector<std::string>& problems) = 0;
};

} // namespace trap
