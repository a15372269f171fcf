// SPDX-License-Identifier: Apache-2.0
#include "ctl/ready/readiness.h"

#include <algorithm>

#include <fmt/core.h>

namespace trap::ctl {
namespace {

using nlohmann::ordered_json;

ordered_json list_at(const ordered_json& object, const char* key) {
  return object.value(key, ordered_json::array());
}

// What stops every service. Empty if nothing does.
std::string reason_of_server(const ordered_json& status) {
  if (status.value("state", "") == "starting")
    return "trap-server is still starting";
  const ordered_json interfaces = list_at(status, "interfaces");
  if (std::ranges::none_of(interfaces,
                           [](const ordered_json& each) { return each.value("attached", false); }))
    return "trap-server's program is at no interface";
  if (status.value("keys", ordered_json::object()).value("seconds_left", 0.0) <= 0)
    return "trap-server has no key for the present time";
  return "";
}

// Backends to which clients go that no policy sends elsewhere.
std::size_t usable_backends(const ordered_json& service) {
  const ordered_json backends = list_at(service, "backends");
  return static_cast<std::size_t>(std::ranges::count_if(backends, [](const ordered_json& each) {
    return each.value("pool", "").empty() && each.value("share_percent", 0.0) > 0;
  }));
}

Readiness judge(const ordered_json& service, const std::string& reason_of_all) {
  Readiness found = {service.value("name", ""), service.value("address", ""), "", reason_of_all};
  if (!found.reason.empty())
    return found;
  const std::size_t backends = usable_backends(service);
  const bool serves = service.value("unaware", "") == "serve";
  const bool has_backends = !list_at(service, "backends").empty();
  if (backends == 0 && (!serves || (has_backends && service.value("when_down", "") != "serve"))) {
    found.reason = "no backend is usable, and clients get no answer";
    return found;
  }
  if (const std::string listener = serves ? service.value("listener", "") : "ok";
      listener != "ok") {
    found.reason = listener.empty() ? "the listener is not known" : listener;
    return found;
  }
  const std::string led = fmt::format("{} backend{}", backends, backends == 1 ? "" : "s");
  found.leads_to = !serves ? led : backends == 0 ? "this host" : led + " and this host";
  return found;
}

} // namespace

std::vector<Readiness> readiness_of(const ordered_json& status, const std::string& service) {
  const std::string reason_of_all = reason_of_server(status);
  std::vector<Readiness> found;
  for (const ordered_json& each : list_at(status, "services")) {
    if (service.empty() || each.value("name", "") == service)
      found.push_back(judge(each, reason_of_all));
  }
  return found;
}

} // namespace trap::ctl
