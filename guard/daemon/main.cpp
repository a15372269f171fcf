// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/guard_part.h"
#include "runtime/process/daemon.h"

int main(int argc, char** argv) {
  return trap::run_daemon(
      {"guard", "TRAP guard: lets only invited clients reach the protected ports of this host.",
       trap::guard::read_part, trap::guard::unconfigured_part,
       trap::facts_of(trap::guard::guard_keys())},
      argc, argv);
}
