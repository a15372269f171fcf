// SPDX-License-Identifier: Apache-2.0
// Answers that the control socket and the metrics listener have in common.
#pragma once

#include <functional>
#include <string>

#include "runtime/control/http_server.h"
#include "runtime/control/readiness.h"

namespace trap {

constexpr char json_type[] = "application/json";

bool asks_for_readiness(const HttpRequest& request);

// To GET /ready and /ready/SERVICE.
HttpAnswer answer_ready(const std::function<ReadyAnswer(const std::string& service)>& ready,
                        const HttpRequest& request);

// To GET /metrics. `text` has Prometheus' format 0.0.4; who accepts OpenMetrics 1.0 gets that.
HttpAnswer answer_metrics(const std::string& text, const HttpRequest& request);

} // namespace trap
