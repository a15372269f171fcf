// SPDX-License-Identifier: Apache-2.0
// XDP programs on interfaces, through links pinned as `link-IFNAME`, so that they stay when the
// daemon goes. A later run swaps the program inside the pinned link: no packet meets an interface
// without one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <linux/types.h>

#include "runtime/config/part_config.h"
#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/result.h"
#include "runtime/undo.h"

namespace trap {

struct XdpState {
  std::string interface;
  unsigned index = 0;   // 0: no such interface now
  std::string mode;     // "native", "generic", "offloaded", "none": what the kernel says
  __u32 program_id = 0; // of whatever program is attached
  bool ours = false;    // that program is this daemon's
  int failed = 0;       // an errno value: the interface may be there, but cannot be looked up
};

class XdpAttachments {
public:
  XdpAttachments() = default;

  // Attaches `program_fd` where no link of an earlier run lives and leaves those that do for
  // `swap_programs`: whatever can fail fails here, before a running program was touched. `undo`
  // takes back what was attached.
  static Result<XdpAttachments> make(const PartConfig& config, int program_fd, Undo& undo);

  // Swaps the program of the links of earlier runs, and removes links of interfaces no longer
  // configured.
  Result<void> swap_programs();

  // Attaches again where the interface was gone and has come back.
  void mend();

  std::vector<XdpState> states() const;

  // Of the links of interfaces that are there.
  std::vector<Pin> pins() const;

private:
  struct Attachment {
    std::string interface;
    std::string pin_path;
    Fd link;
    bool from_earlier_run = false;
  };

  Result<Fd> create_pinned(const Attachment& attachment, unsigned index, XdpMode mode) const;
  Result<Attachment> attach(const std::string& interface) const;

  std::vector<Attachment> attachments_;
  std::string pin_dir_;
  XdpMode mode_ = XdpMode::native;
  int program_fd_ = -1;
  __u32 program_id_ = 0;
};

// bpffs takes no dots in names; ':' cannot be in an interface's name.
std::string link_pin_name(const std::string& interface);

// Index of an interface, or an error that names it.
Result<unsigned> interface_index(const std::string& interface, const PartConfig& config);

// Interfaces where a link pinned in `pin_dir` is still at work.
std::vector<std::string> attached_interfaces(const std::string& pin_dir);

// Detaches every link pinned in `pin_dir`, also from a daemon that still holds it. Returns how
// many.
Result<unsigned> detach_pinned_links(const std::string& pin_dir);

// Detaches links that have no pin below /sys/fs/bpf or beside `pin_dir`: of programs of this name,
// on these interfaces of this network namespace. Nothing but a process that still holds them keeps
// them. Returns how many.
Result<unsigned> detach_unpinned_links(const std::string& program, const std::string& pin_dir,
                                       const std::vector<std::string>& interfaces);

__u32 program_id_of(int program_fd);

} // namespace trap
