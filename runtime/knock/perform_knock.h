// SPDX-License-Identifier: Apache-2.0
// One handshake with a service as a client does it, told step by step. trapctl performs it itself
// where it may, else trap-client for it (runtime/knock/knock_desk.h).
#pragma once

#include <chrono>
#include <functional>

#include <nlohmann/json.hpp>

#include "runtime/config/endpoint.h"
#include "runtime/knock/knock_wire.h"
#include "runtime/result.h"

namespace trap {

struct KnockOrder {
  Endpoint service;
  std::chrono::milliseconds timeout{1000}; // for each answer
};

// May this process open the sockets of a knock?
bool may_knock();

// The object that `trapctl knock --json` prints. Blocks until the knock is over, or `is_to_stop`,
// which is asked several times a second, says so: then it is an error.
Result<nlohmann::ordered_json> perform_knock(
    const KnockOrder& order, const OpenKnockWire& open_wire = open_packet_wire,
    const std::function<bool()>& is_to_stop = [] { return false; });

} // namespace trap
