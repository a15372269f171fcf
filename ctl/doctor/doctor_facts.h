// SPDX-License-Identifier: Apache-2.0
// The facts that trapctl doctor judges by: gathered once (doctor_gather.h), or invented by tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace trap::ctl {

struct HostFacts {
  std::string kernel_release;
  bool has_btf = false;
  bool has_bpffs = false;
  std::string privilege_problem;          // empty: none
  std::optional<bool> loads_xdp;          // empty: not known
  std::optional<bool> loads_tc;           // the same
  std::optional<bool> assigns_sockets;    // has bpf_sk_assign_tcp_reqsk
  std::optional<bool> clock_synchronised; // empty: not known
  std::uint64_t clock_error_us = 0;       // as the kernel estimates it
};

struct InterfaceFacts {
  std::string name;
  bool exists = false;
  bool is_up = false;
  unsigned mtu = 0;
  std::string xdp_mode = "none"; // "native", "generic", "offloaded", "several"
  std::string xdp_program;       // its name
  std::string xdp_front;       // of the program in front of the part's, which `xdp_program` is then
  std::string xdp_behind;      // of the one behind it
  bool merges_packets = false; // LRO or GRO in hardware is on
  bool merging_is_fixed = false; // ethtool cannot switch it off
  int rp_filter = 0;             // the greater of the interface's and of all's
};

struct KeyFileFacts {
  std::string path; // empty: the part has none
  bool exists = false;
  unsigned mode = 0;
  std::uint64_t age_days = 0;
};

// A port at which a service must listen.
struct PortFacts {
  std::string service;
  std::string where; // "port 80", "203.0.113.10:80"
  bool listens = false;
};

struct PeerFacts { // a TRAP server of a guard, a backend of a server
  std::string address;
  bool has_route = false;
};

struct DaemonFacts {
  bool runs = false;
  std::string version;
  std::string error;                     // the reason why it could not be asked
  std::string deaf = "", deaf_cure = ""; // it runs, and does not listen at its control socket
  std::vector<std::string> problems;
  std::uint64_t epoch = 0; // the present one; 0: it has no keys
  std::vector<std::uint64_t> epochs_held;
  std::uint64_t announcements = 0;    // that a guard accepted
  std::vector<std::string> tc_before; // "eth0: egress NAME": runs before the part's own at tc
  std::vector<std::string>
      unconsented; // "SERVICE redirects to TARGET": a client's, without CONSENT
};

struct PartFacts {
  std::string part;
  std::string config_path;
  std::string config_problem; // an error in it or in its keys; empty: none
  std::string xdp_mode;       // as configured; empty for a client, and for a server at tc
  std::vector<InterfaceFacts> interfaces;
  bool accepts_uncovered = false;
  std::vector<std::string> uncovered; // "NAME: REASON": ways into the host past its programs
  KeyFileFacts key_file;
  std::vector<PortFacts> ports;
  std::vector<PeerFacts> peers;
  DaemonFacts daemon;
};

} // namespace trap::ctl
