// SPDX-License-Identifier: Apache-2.0
// Changes of trap-client's configuration, and their effect in its status.
#pragma once

#include <string>
#include <vector>

#include "lab/scenarios/scene.h"

namespace trap::lab {

// Writes client.toml with these keys, and interfaces as in TOML, and reloads it.
bool reconfigure_client(Scene& scene, const std::string& keys,
                        const std::string& interfaces = R"("eth0")");

// Writes client.toml with a [[trust]] of the service's host, which then need not consent: where no
// CONSENT can reach the client.
bool trust_the_service(Scene& scene);

// Interfaces that have the client's filters, by its status.
std::vector<std::string> attached_interfaces(Scene& scene);

// Exit code of `trapctl status client`.
int client_status_code(Scene& scene);

} // namespace trap::lab
