// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "ctl/commands.h"
#include "ctl/key/key_output.h"
#include "protocol/wire.h"
#include "runtime/keys/key_file.h"

namespace trap::ctl {

Result<void> derive_key(const std::string& guard, const std::string& master_file,
                        const std::string& output) {
  if (!is_guard_name(guard))
    return Error{fmt::format("guard \"{}\": use 1 to {} of a-z, 0-9, '.' and '-'", guard,
                             TRAP_GUARD_NAME_MAX),
                 ExitCode::usage};
  auto master = read_master_key(master_file);
  if (!master)
    return master.error();
  return write_key(output, format_guard_key({guard, derive_guard_secret(*master, guard)}));
}

} // namespace trap::ctl
