// SPDX-License-Identifier: Apache-2.0
// trapctl's subcommands, after the command line is read; one file for each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/result.h"

namespace trap::ctl {

// Writes a new master key to a file that must not exist yet, or to stdout for "-".
Result<void> generate_key(const std::string& file);

// Writes the key of a guard, made from the master key, likewise.
Result<void> derive_key(const std::string& guard, const std::string& master_file,
                        const std::string& output);

// The daemons to ask.
struct PartRequest {
  std::string part;    // empty: every part there is
  std::string socket;  // empty: the part's usual one
  std::string pin_dir; // empty: the part's usual one
  bool json = false;
};

// Prints the status; the exit code says whether all parts run as they should. Errors are for
// anything but a part's state.
Result<ExitCode> show_status(const PartRequest& request);

// Epochs whose keys the daemons hold, with their times.
Result<ExitCode> show_key_status(const PartRequest& request);

// Lets the daemons read configuration and keys again; prints the changes that each applied.
Result<ExitCode> reload(const PartRequest& request);

struct ReadyRequest {
  std::string service; // empty: every service
  std::string socket;  // empty: the server's usual one
  bool json = false;
};

// Prints whether each address of the service can take clients now. ExitCode::failed if one cannot.
Result<ExitCode> show_readiness(const ReadyRequest& request);

struct BackendRequest {
  std::string action;  // "list", "drain", "activate"
  std::string service; // for list: may be empty, for all
  std::string backend; // address and port, not for list
  std::string socket;  // empty: the server's usual one
  bool json = false;
};

Result<ExitCode> manage_backends(const BackendRequest& request);

struct RedirectRequest {
  bool flush = false;  // else: list
  std::string service; // for flush: address and port, or empty for all
  std::string socket;  // empty: the client's usual one
  bool json = false;
};

Result<ExitCode> manage_redirects(const RedirectRequest& request);

struct KnockRequest {
  std::string service;  // public address and port
  double timeout_s = 1; // for each answer
  std::string socket;   // empty: the client's usual one, where there is no right to raw sockets
  bool json = false;
};

// Performs a handshake as a client does, and tells each step. ExitCode::failed if it does not reach
// the service.
Result<ExitCode> knock(const KnockRequest& request);

struct GuardRequest {
  std::string action;  // "mode", "enforce", "confirm", "monitor", "suspects"
  std::string confirm; // for enforce: a time as of the command line, or empty
  bool force = false;  // for enforce: in spite of warnings
  std::string socket;  // empty: the guard's usual one
  bool json = false;
};

Result<ExitCode> manage_guard(const GuardRequest& request);

struct ExplainOptions {
  PartRequest parts;
  std::string packet; // a line, or
  std::string pcap;   // a capture file
  std::string direction = "in";
};

// The verdict on packets, and the reason; changes nothing.
Result<ExitCode> explain(const ExplainOptions& options);

struct CaptureRequest {
  PartRequest parts;
  std::vector<std::string> verdicts; // names; a final '*' stands for any rest
  std::string file;                  // a new one, or "-"
  std::uint64_t count = 1000;        // packets, at most
  double seconds = 60;               // at most
};

// Writes samples of packets, with their verdicts, to a pcapng file. Ends by SIGINT as well.
Result<ExitCode> capture(const CaptureRequest& request);

struct DecodeRequest {
  std::string pcap;  // a capture file
  bool all = false;  // packets without a TRAP message as well
  bool json = false; // one object a line
};

// Prints the TRAP messages of a capture. Asks no daemon.
Result<ExitCode> decode(const DecodeRequest& request);

struct DoctorRequest {
  std::string part;   // empty: every part that is configured or runs
  std::string config; // empty: the part's usual file
  bool json = false;
};

// Examines this host: prints a line for each check; degraded if a check finds a problem.
Result<ExitCode> examine(const DoctorRequest& request);

struct TopRequest {
  PartRequest parts;
  double interval_s = 1;
  bool once = false; // two samples, one table
};

// Rates on a terminal until q or Ctrl-C; elsewhere one plain table after the other.
Result<ExitCode> show_top(const TopRequest& request);

} // namespace trap::ctl
