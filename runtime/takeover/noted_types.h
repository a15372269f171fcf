// SPDX-License-Identifier: Apache-2.0
// The types of maps that are pinned, noted in files for a daemon that may not ask the kernel: the
// kernel tells them only to CAP_SYS_ADMIN, which a daemon needs for nothing else. A service manager
// has them noted with full privileges before it starts the daemon with few.
#pragma once

#include <memory>
#include <string>

#include <linux/types.h>

#include "runtime/result.h"

struct btf;

namespace trap {

// Of BTF number `id`: from the kernel, else as noted in the first folder of $RUNTIME_DIRECTORY;
// null, and errno of the kernel's refusal, if neither tells.
std::shared_ptr<const btf> types_of(__u32 id);

// Notes the types of all maps that `part` has pinned in `pin_dir` in the first folder of
// $RUNTIME_DIRECTORY, as files that only their owner reads. An error without that folder.
Result<void> note_types(const std::string& pin_dir, const std::string& part);

} // namespace trap
