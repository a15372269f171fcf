// SPDX-License-Identifier: Apache-2.0
// The service host that answers a client: its documents name it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lab/scenarios/scene.h"

namespace trap::lab {

// "service", "service-2", or why there was no answer. `local`: the client's address to come from,
// or empty.
std::string answering_host(Scene& scene, Family family, const std::string& local);

// Gives the client's host the IPv4 addresses 192.0.2.FIRST to LAST, each a client of its own to the
// server.
std::vector<std::string> add_clients(Scene& scene, int first, int last);

// Waits until the server finds every backend entry of a host "up" or "down", where
// plan().service_keys has its checks 200 ms apart.
bool wait_for_health(Scene& scene, std::string_view host, std::string_view health);

} // namespace trap::lab
