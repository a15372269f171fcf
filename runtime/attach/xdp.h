// SPDX-License-Identifier: Apache-2.0
// XDP programs on interfaces, through links pinned as `link-IFNAME`, so that they stay when the
// daemon goes. A later run swaps the program inside the pinned link: no packet meets an interface
// without one.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <linux/bpf.h>
#include <linux/types.h>

#include "runtime/attach/renamed_interfaces.h"
#include "runtime/attach/xdp_chain.h"
#include "runtime/config/part_config.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/net/decapsulation.h"
#include "runtime/net/framing.h"
#include "runtime/net/interface_choice.h"
#include "runtime/result.h"
#include "runtime/undo.h"

namespace trap {

struct XdpState {
  std::string interface;
  unsigned index = 0;   // 0: no such interface now
  std::string mode;     // "native", "generic", "offloaded", "none": what the kernel says
  __u32 program_id = 0; // of this daemon's program, or of whatever else is attached
  bool ours = false;    // packets meet this daemon's program
  std::vector<std::string> before, behind; // names of the programs that they meet earlier and later
  std::string configured; // its name in the configuration, where it is called otherwise now
  int failed = 0;         // an errno value: the interface may be there, but cannot be looked up
};

// Descriptors; -1: the part has no program for such interfaces, or none that is loaded.
struct XdpPrograms {
  int ethernet = -1;
  int ip = -1;     // for packets that begin with the IP header
  int behind = -1; // map of the programs that `ethernet` calls; -1: it goes behind another part's
};

class XdpAttachments {
public:
  XdpAttachments() = default;

  // Attaches to the interfaces that `config` chooses where no link of an earlier run lives, and
  // leaves those that do for `swap_programs`: whatever can fail fails here, before a running
  // program was touched. `undo` takes back what was attached. An interface that refuses is an error
  // if the configuration names it; otherwise the log says so, and it is uncovered.
  static Result<XdpAttachments> make(const PartConfig& config, XdpPrograms programs, Undo& undo);

  // Swaps the program of the links of earlier runs, and removes links of interfaces no longer
  // configured.
  Result<void> swap_programs();

  // Attaches where an interface came, or came back, and lets go of those that the configuration
  // does not choose any more.
  void follow();

  std::vector<XdpState> states() const;

  // Present names of the interfaces with a program, and of those that are named and gone.
  std::vector<std::string> interfaces() const;

  // The program of the part behind ours, at any of the interfaces; none if there is no such part.
  Fd program_behind() const;

  // Ways into the host that no program sees, as of the last start or follow().
  const std::vector<Uncovered>& uncovered() const { return uncovered_; }

  // Of the links of interfaces that are there.
  std::vector<Pin> pins() const;

private:
  struct Attachment {
    std::string interface;
    std::string pin_path;
    Fd link;
    int program_fd = -1;
    bool from_earlier_run = false; // or joined: the link has another program as yet
    bool joined = false;           // the link is another part's
  };

  // An interface that cannot have the program, and is asked again now and then.
  struct Refusal {
    unsigned index = 0;
    std::string reason;
    std::chrono::steady_clock::time_point until;
  };

  Result<Fd> create_pinned(const Attachment& attachment, unsigned index, XdpMode mode) const;
  Result<int> program_for(const HostInterface& interface) const;
  Result<Attachment> attach(const HostInterface& interface) const;
  Result<Attachment> join(Attachment made, const XdpNeighbor& neighbor, unsigned index) const;
  ChainPlace place_of(const Attachment& attachment, unsigned index) const;
  Result<void> take_places();
  void mend_places();
  void keep_front_map();
  bool leave(const Attachment& attachment) const;
  void refuse(const HostInterface& interface, const std::string& reason);
  bool is_only_matched(const std::string& interface) const;
  Attachment* find(const std::string& interface);
  void follow_names(const std::vector<HostInterface>& all);
  void forget_names_of_the_gone();
  void attach_chosen(const std::vector<HostInterface>& chosen);
  void let_go(const std::vector<HostInterface>& all, const std::vector<HostInterface>& chosen);
  void look_for_uncovered(const std::vector<HostInterface>& all);

  std::vector<Attachment> attachments_;
  std::map<std::string, Refusal> refusals_; // by interface
  std::vector<Uncovered> uncovered_;
  Decapsulation decapsulation_;
  std::string part_;
  RenamedInterfaces renamed_;
  std::vector<std::string> names_, except_; // the configuration's, and present ones of the renamed
  std::string pin_dir_;
  XdpMode mode_ = XdpMode::native;
  XdpPrograms programs_;
  __u32 earlier_id_ = 0; // of the program that the last run had at Ethernet interfaces
  Fd front_map_;         // that our program is behind in; kept, for the kernel empties it otherwise
};

// bpffs takes no dots in names; ':' cannot be in an interface's name.
std::string link_pin_name(const std::string& interface);

// True if a link that is pinned there holds a program at an interface that is still there.
bool has_attached_links(const std::string& pin_dir);

// An error unless there is an interface of this name, or one that had it when it was attached to.
Result<void> check_interface(const std::string& interface, const PartConfig& config);

// Ways into the host that no program of a part with this configuration would see.
std::vector<Uncovered> would_be_uncovered(const PartConfig& config, bool reads_ip);

// Is there an interface that the configuration chooses, or might, whose packets begin with the IP
// header?
bool may_have_ip_interface(const PartConfig& config);

// Interfaces where a link pinned in `pin_dir` is still at work.
std::vector<std::string> attached_interfaces(const std::string& pin_dir);

// Detaches every link pinned in `pin_dir`, also from a daemon that still holds it. Returns how
// many.
Result<unsigned> detach_pinned_links(const std::string& pin_dir);

// Detaches links that have no pin below /sys/fs/bpf or beside `pin_dir`: of programs of this name
// or with "_ip" behind it, on interfaces of these names and patterns in this network namespace.
// Nothing but a process that still holds them keeps them. Returns how many.
Result<unsigned> detach_unpinned_links(const std::string& program, const std::string& pin_dir,
                                       const std::vector<std::string>& interfaces);

__u32 program_id_of(int program_fd);

// The attachment of a link: interface index (0 when its device is gone) and program; nothing if
// it cannot be read.
std::optional<bpf_link_info> xdp_link_info(int link_fd);

} // namespace trap
