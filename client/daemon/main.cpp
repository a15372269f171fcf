// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/client_part.h"
#include "runtime/process/daemon.h"

int main(int argc, char** argv) {
  return trap::run_daemon(
      {"client",
       "TRAP client: takes connections of this host to where TRAP servers say a service is.",
       trap::client::read_part, trap::client::unconfigured_part,
       trap::facts_of(trap::client::client_keys())},
      argc, argv);
}
