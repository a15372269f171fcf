// SPDX-License-Identifier: Apache-2.0
#include "ctl/commands.h"
#include "ctl/key/key_output.h"
#include "runtime/keys/key_file.h"

namespace trap::ctl {

Result<void> generate_key(const std::string& file) {
  auto master = generate_master_key();
  if (!master)
    return master.error();
  return write_key(file, format_master_key(*master));
}

} // namespace trap::ctl
