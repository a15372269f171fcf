// SPDX-License-Identifier: Apache-2.0
// Two parts of TRAP at one interface (docs/adr/0042). One link holds it, and both pin that link:
// the program of trap-server is in it, and calls the one that its map `behind` has for the
// interface with each packet that is for no service. Either part may go: the other stays.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <linux/types.h>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace trap {

// The XDP program of a part's Ethernet interfaces, and the map of the one in front, which the part
// behind keeps alive as well.
constexpr char xdp_program_pin[] = "program-xdp";
constexpr char front_map_pin[] = "front-behind";

// Another part that has pinned a link of an interface: its directory lies beside ours.
struct XdpNeighbor {
  std::string pin_dir;
  std::string program_name; // of its program; empty for a version that pins none
  Fd link;
  Fd program; // none for such a version
  Fd behind;  // its map of programs behind its own; none if it goes behind itself
  __u32 link_id = 0;
  __u32 front_id = 0; // id of the program in the link
};

// The one that is attached at this interface now; nothing if there is none. An interface's index
// says nothing of the network namespace, so the program at the interface is compared as well.
std::optional<XdpNeighbor> find_xdp_neighbor(const std::string& pin_dir,
                                             const std::string& interface, unsigned index);

// Of this part at one interface.
struct ChainPlace {
  std::string pin_dir;
  std::string interface;
  unsigned index = 0;
  int link_fd = -1;
  int program_fd = -1;
  int behind_fd = -1;   // map of programs behind ours; -1: ours goes behind
  __u32 earlier_id = 0; // id of the program that this part's last run had; 0: none
};

// Keeps other parts from changing what is attached, for as long as the descriptor lives. Waits for
// them for a second at most.
Result<Fd> lock_chain(const std::string& pin_dir);

// Puts the program into its place: into the link, or behind the neighbor's. No packet meets the
// interface without either program. The caller holds the lock.
Result<void> take_place(const ChainPlace& place);

// The map in which this part's program is behind another; none if it is in the link.
Fd front_map_of(const ChainPlace& place);

// 0 for a descriptor that is none.
__u32 map_id_of(int map_fd);

// Is there a neighbor at the link, and one of the two programs not in its place?
bool lost_place(const ChainPlace& place);

// Leaves the interface to a neighbor that shares the link. False if there is none: the link is this
// part's alone. Takes the lock.
Result<bool> leave_to_neighbor(const ChainPlace& place);

// Forgets programs behind ours at interfaces of other indexes than these: those have gone.
void keep_behind(int behind_fd, const std::vector<unsigned>& indexes);

// Why a part cannot share an interface with this neighbor in this mode; empty if it can.
std::string sharing_refusal(const XdpNeighbor& neighbor, const ChainPlace& place,
                            const std::string& mode);

// Names of the programs in front of ours and behind it.
struct XdpChain {
  bool ours = false; // packets meet our program
  std::vector<std::string> before, behind;
};

XdpChain chain_at(const ChainPlace& place);

// The same for a look from outside, by the pins alone.
XdpChain pinned_chain_at(const std::string& pin_dir, const std::string& interface, unsigned index);

} // namespace trap
