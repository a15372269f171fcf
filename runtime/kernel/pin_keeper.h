// SPDX-License-Identifier: Apache-2.0
// The pins of a run while it runs: programs and maps outlive the daemon only by them, and a pin can
// be removed, or its bpffs unmounted, under a daemon that goes on.
#pragma once

#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"

namespace trap {

class PinKeeper {
public:
  // Makes those of `pins` again that are gone, and `pin_dir` with them; `lock` is the one of
  // open_pin_dir() and is taken anew for a new directory. Logs what it did, or cannot do, once.
  void mend(const std::string& pin_dir, const std::string& program, const std::vector<Pin>& pins,
            Fd& lock);

  // One line while pins are gone and cannot be made again.
  std::vector<std::string> problems() const;

private:
  std::string problem_;
};

} // namespace trap
