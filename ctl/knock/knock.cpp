// SPDX-License-Identifier: Apache-2.0
// trapctl knock: one handshake with a service, step by step. Without the right to raw sockets it
// asks the trap-client of this host to knock for it.
#include <thread>

#include <fmt/core.h>

#include "ctl/knock/knock_service.h"
#include "ctl/parts.h"
#include "ctl/table.h"
#include "runtime/json_text.h"
#include "runtime/knock/perform_knock.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

using std::chrono::milliseconds;

constexpr milliseconds between_questions{50};

std::string text_of(const ordered_json& object, const char* key) {
  return object.value(key, "");
}

void print(const ordered_json& knock) {
  const bool is_by_module = text_of(knock, "by") == "trap-client";
  std::vector<Row> rows;
  for (const ordered_json& step : knock["steps"]) {
    const std::string by = is_by_module ? fmt::format(" ({})", text_of(step, "by")) : "";
    rows.push_back({fmt::format("{:.3f} ms", step.value("at_ms", 0.0)),
                    text_of(step, "direction") == "out" ? "to" : "from", text_of(step, "peer"),
                    text_of(step, "segment"), text_of(step, "meaning") + by});
  }
  const std::string outcome = text_of(knock, "outcome");
  fmt::print("{} knocks at {}\n", text_of(knock, "from"), text_of(knock, "service"));
  fmt::print("{}", format_rows(rows, "  ", 0, 1));
  fmt::print("{}: {}{}\n", outcome == "failed" ? "failed" : "ok", text_of(knock, "verdict"),
             is_by_module ? " (trap-client on this host did the work)" : "");
  if (knock["notes"].empty())
    return;
  fmt::print("{}:\n", outcome == "redirected" ? "note" : "possible reasons");
  for (const ordered_json& note : knock["notes"])
    fmt::print("  - {}\n", note.get<std::string>());
}

Error no_right_to_knock() {
  return Error{"a knock needs raw sockets: run as root, or, where trap-client runs, as a member of "
               "its control_group"};
}

Result<ordered_json> knock_by_daemon(const KnockOrder& order, const std::string& socket) {
  auto begun = post(
      socket, fmt::format("/knock/{}/{}", format_endpoint(order.service), order.timeout.count()));
  if (!begun)
    return begun.error();
  if (!*begun)
    return no_right_to_knock();
  const std::string result = fmt::format("/knock/result/{}", (*begun)->value("knock", 0ULL));
  for (;;) {
    std::this_thread::sleep_for(between_questions);
    auto told = post(socket, result);
    if (!told)
      return told.error();
    if (!*told)
      return Error{"trap-client ended before the knock did"};
    if ((*told)->value("done", false))
      return (**told)["knock"];
  }
}

} // namespace

Result<ExitCode> knock(const KnockRequest& request) {
  auto service = find_service(request.service);
  if (!service)
    return Error{fmt::format("service {}", service.error().message), ExitCode::usage};
  const KnockOrder order = {*service,
                            milliseconds{static_cast<std::int64_t>(request.timeout_s * 1000)}};
  const std::string socket =
      request.socket.empty() ? locations({"client", {}, {}, false})[0].socket : request.socket;
  auto knock = may_knock() ? perform_knock(order) : knock_by_daemon(order, socket);
  if (!knock)
    return knock.error();
  if (request.json)
    fmt::print("{}\n", json_text(*knock, 2));
  else
    print(*knock);
  return text_of(*knock, "outcome") == "failed" ? ExitCode::failed : ExitCode::ok;
}

} // namespace trap::ctl
