// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/daemon.h"
#include "server/daemon/server_part.h"

int main(int argc, char** argv) {
  return trap::run_daemon({"server",
                           "TRAP server: answers for protected services and redirects clients that "
                           "complete a handshake.",
                           trap::server::read_part, trap::server::unconfigured_part,
                           trap::facts_of(trap::server::server_keys())},
                          argc, argv);
}
