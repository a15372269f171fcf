// SPDX-License-Identifier: Apache-2.0
#include "lab/scenarios/answers.h"

#include <fstream>

#include <fmt/format.h>

namespace trap::lab {

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

} // namespace trap::lab
