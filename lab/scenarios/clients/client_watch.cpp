// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/clients/client_watch.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace trap::lab {

using nlohmann::json;

bool reconfigure_client(Scene& scene, const std::string& keys, const std::string& interfaces) {
  Daemon& client = scene.trap().client();
  auto done = client.configure(keys, interfaces);
  if (done)
    done = client.reload();
  return scene.done(done, fmt::format("trap-client takes interfaces = [{}]{}", interfaces,
                                      keys.empty() ? "" : " and more keys"));
}

bool trust_the_service(Scene& scene) {
  const HostAddresses& trap = addresses_of("trap");
  const HostAddresses& service = addresses_of("service");
  return reconfigure_client(
      scene, fmt::format("[[trust]]\nservices = [\"{}\", \"{}\"]\ntargets = [\"{}\", \"{}\"]\n",
                         trap.ipv4, trap.ipv6, service.ipv4, service.ipv6));
}

std::vector<std::string> attached_interfaces(Scene& scene) {
  std::vector<std::string> names;
  const auto asked = scene.trap().client().control({"status", "client", "--json"});
  const json status = asked ? json::parse(asked->output, nullptr, false) : json{};
  if (!status.is_object())
    return names;
  for (const json& interface : status.value("interfaces", json::array()))
    if (interface.value("attached", false))
      names.push_back(interface.value("name", ""));
  return names;
}

int client_status_code(Scene& scene) {
  const auto asked = scene.trap().client().control({"status", "client"});
  return asked ? asked->exit_code : -1;
}

} // namespace trap::lab
