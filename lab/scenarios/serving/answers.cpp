// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/serving/answers.h"

#include <chrono>
#include <fstream>

#include <fmt/format.h>

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// The lab's checks are 200 ms apart and 200 ms patient, two of them decide: under a second, with a
// second to spare.
constexpr milliseconds health_deadline{2000};

} // namespace

std::string answering_host(Scene& scene, Family family, const std::string& local) {
  Request request{Deployment::public_url(family, "/small.txt")};
  request.local_address = local;
  const auto response = fetch(scene.host("client"), request);
  if (!response)
    return response.error().message;
  std::string name = response->text();
  if (std::ifstream body{response->body}; response->complete() && body)
    std::getline(body, name);
  return name;
}

std::vector<std::string> add_clients(Scene& scene, int first, int last) {
  std::vector<std::string> added;
  std::string lines;
  for (int number = first; number <= last; number++) {
    added.push_back(fmt::format("192.0.2.{}", number));
    lines += fmt::format("address add {}/32 dev eth0\n", added.back());
  }
  if (auto done = scene.host("client").ip(lines); !done)
    scene.check(false, "give the client more addresses", done.error().message);
  return added;
}

bool wait_for_health(Scene& scene, std::string_view host, std::string_view health) {
  for (const auto until = Clock::now() + health_deadline;
       Clock::now() < until && sleep_for(milliseconds{30});) {
    const auto status = scene.trap().server().status();
    int entries = 0, agreeing = 0;
    for (const ServiceStatus& service : status ? status->services : std::vector<ServiceStatus>{})
      for (const BackendStatus& backend : service.backends)
        for (const Family family : families)
          if (backend.address == endpoint(addresses_of(host).address(family), service_port)) {
            entries++;
            agreeing += backend.health == health ? 1 : 0;
          }
    if (entries == 2 && agreeing == 2)
      return true;
  }
  return false;
}

} // namespace trap::lab
