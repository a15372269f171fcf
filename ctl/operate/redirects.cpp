// SPDX-License-Identifier: Apache-2.0
// trapctl redirects, and redirects flush.
#include <fmt/core.h>

#include "ctl/parts.h"
#include "ctl/table.h"
#include "runtime/config/endpoint.h"
#include "runtime/json_text.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

constexpr char client_socket[] = "/run/trap/client.sock";

std::string fallbacks_of(const ordered_json& redirect) {
  std::string fallbacks;
  if (redirect.value("learnt_from", "") == "reset")
    fallbacks = "learnt from a reset";
  if (const auto unticketed = redirect.value("connections_unticketed", std::uint64_t{0}))
    fallbacks += fmt::format("{}{} without ticket", fallbacks.empty() ? "" : ", ", unticketed);
  return fallbacks.empty() ? "-" : fallbacks;
}

void print_all(const ordered_json& redirects) {
  std::vector<Row> rows = {
      {"SERVICE", "BACKEND", "FOR", "LEFT", "LEARNT", "CONNECTIONS", "FALLBACKS"}};
  for (const auto& redirect : redirects)
    rows.push_back({redirect.value("service", ""), redirect.value("backend", ""),
                    redirect.value("local", ""),
                    fmt::format("{} s", redirect.value("expires_in_s", std::uint64_t{0})),
                    fmt::format("{} s ago", redirect.value("age_s", std::uint64_t{0})),
                    fmt::format("{}", redirect.value("connections", std::uint64_t{0})),
                    fallbacks_of(redirect)});
  fmt::print("{}", format_rows(rows, "", 3, 6));
}

Result<ExitCode> list(const RedirectRequest& request, const std::string& socket) {
  auto status = running_status({"client", socket, ""});
  if (!status)
    return status.error();
  if (status->is_null())
    return nothing_runs({"client", socket, "", false});
  if (!status->contains("redirects"))
    return Error{fmt::format("control socket {}: trap-{} has no redirects: they are a client's",
                             socket, status->value("part", "")),
                 ExitCode::usage};
  const ordered_json& redirects = (*status)["redirects"];
  if (request.json)
    fmt::print("{}\n", json_text(redirects, 2));
  else
    print_all(redirects);
  return ExitCode::ok;
}

} // namespace

Result<ExitCode> manage_redirects(const RedirectRequest& request) {
  const std::string socket = request.socket.empty() ? client_socket : request.socket;
  if (!request.flush)
    return list(request, socket);
  std::string path = "/redirects/flush";
  if (!request.service.empty()) {
    auto service = parse_endpoint(request.service);
    if (!service)
      return Error{fmt::format("service {}", service.error().message), ExitCode::usage};
    path += "/" + format_endpoint(*service);
  }
  auto answer = post(socket, path);
  if (!answer)
    return answer.error();
  if (!*answer)
    return nothing_runs({"client", socket, "", false});
  if (request.json)
    fmt::print("{}\n", json_text(**answer, 2));
  else
    fmt::print("{} redirect(s) forgotten\n", (*answer)->value("flushed", std::uint64_t{0}));
  return ExitCode::ok;
}

} // namespace trap::ctl
