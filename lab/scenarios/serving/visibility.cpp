// SPDX-License-Identifier: Apache-2.0
// trapctl knock and redirects, where there is a client module and where there is none.
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds knock_deadline{20000};
constexpr const char* whole_way =
    "SYN, SYN-ACK [OFFER], ACK [ACCEPT], RST [REDIRECT], SYN [TICKET], SYN-ACK [CONSENT]";

struct Knock {
  int exit_code = -1;
  json said;
  std::string segments;

  [[nodiscard]] std::string field(const char* key) const {
    return said.is_object() ? said.value(key, "") : "";
  }
  [[nodiscard]] std::string text() const {
    return fmt::format("exit code {}: {}: {}", exit_code, field("outcome"), segments);
  }
};

Knock knock(Scene& scene, std::string_view from, std::vector<std::string> trapctl) {
  Knock knock;
  trapctl.insert(trapctl.end(), {"--json", "--timeout", "0.5"});
  const auto done = run(scene.host(from).command(std::move(trapctl)), knock_deadline);
  if (!done)
    return knock;
  knock.exit_code = done->exit_code;
  knock.said = json::parse(done->output, nullptr, false);
  if (knock.said.is_object())
    for (const auto& step : knock.said.value("steps", json::array()))
      knock.segments += (knock.segments.empty() ? "" : ", ") + step.value("segment", "");
  return knock;
}

Knock knock(Scene& scene, std::string_view from, const std::string& target) {
  return knock(scene, from, {(program_directory() / "trapctl").string(), "knock", target});
}

// trapctl may open no raw socket, so that trap-client knocks, which may open no packet socket.
Knock knock_by_daemon(Scene& scene, const std::string& target) {
  return knock(scene, "client",
               {"setpriv", "--bounding-set=-net_raw", (program_directory() / "trapctl").string(),
                "knock", target, "--socket", scene.trap().client().control_socket().string()});
}

void expect(Scene& scene, const Knock& knock, const std::string& outcome, const std::string& by,
            const std::string& segments, const std::string& what) {
  scene.check(knock.exit_code == (outcome == "failed" ? 1 : 0) &&
                  knock.field("outcome") == outcome && knock.field("by") == by &&
                  knock.segments == segments,
              what, knock.text());
}

void knock_everywhere(Scene& scene, Family family) {
  const std::string what = fmt::format("{}: a knock ", name_of(family));
  const std::string service = endpoint(addresses_of("trap").address(family), service_port);
  const std::string backend = endpoint(addresses_of("service").address(family), service_port);
  // Before the TRAP server has announced the stranger to the guard.
  expect(scene, knock(scene, "stranger", backend), "failed", "trapctl", "SYN, SYN, SYN",
         what + "at a guarded port meets silence");
  for (int time = 0; time < 2; time++) {
    const Knock alone = knock(scene, "stranger", service);
    expect(scene, alone, "redirected", "trapctl", whole_way,
           what + "without a module goes the whole way each time");
    scene.check(alone.field("backend") == backend, what + "tells where the service is",
                alone.field("backend"));
  }
  expect(scene, knock(scene, "client", service), "redirected", "trap-client", whole_way,
         what + "beside a module tells what that does");
  expect(scene, knock(scene, "client", service), "redirected", "trap-client",
         "SYN [TICKET], SYN-ACK [CONSENT]", what + "beside it goes straight then");
  expect(scene, knock_by_daemon(scene, service), "redirected", "trap-client",
         "SYN [TICKET], SYN-ACK [CONSENT]", what + "of the daemon's tells the same");
  const std::string_view host = addresses_of("service").address(family);
  for (const std::string_view from : {"client", "stranger"}) {
    expect(scene, knock(scene, from, endpoint(host, open_port)), "direct", "trapctl",
           "SYN, SYN-ACK, ACK", fmt::format("{}at an ordinary server, from {}", what, from));
    expect(scene, knock(scene, from, endpoint(host, 9)), "failed", "trapctl", "SYN, RST",
           fmt::format("{}at a closed port, from {}", what, from));
  }
}

void expect_redirects(Scene& scene, Family family) {
  const std::string service = endpoint(addresses_of("trap").address(family), service_port);
  Daemon& client = scene.trap().client();
  const auto of_service = [&] {
    const auto listed = client.control({"redirects", "--json"});
    const json all = listed ? json::parse(listed->output, nullptr, false) : json{};
    for (const json& redirect : all.is_array() ? all : json::array())
      if (redirect.value("service", "") == service)
        return redirect;
    return json{};
  };
  const json learnt = of_service();
  scene.check(
      learnt.is_object() && learnt.value("connections", 0) >= 1 &&
          learnt.value("learnt_from", "") == "handshake" && learnt.value("expires_in_s", 0) > 500 &&
          learnt.value("connections_unticketed", 1) == 0,
      fmt::format("{}: trapctl redirects shows the redirect", name_of(family)), learnt.dump());
  const auto unknown =
      client.control({"redirects", "flush", endpoint(addresses_of("plain").address(family), 1)});
  scene.check(unknown && unknown->exit_code == 2,
              fmt::format("{}: flushing a redirect that is not held is an error", name_of(family)),
              "it is none");
  const auto flushed = client.control({"redirects", "flush", service});
  scene.check(flushed && flushed->exit_code == 0 && of_service().is_null(),
              fmt::format("{}: a redirect is flushed", name_of(family)),
              flushed ? flushed->errors : flushed.error().message);
  expect(scene, knock_by_daemon(scene, service), "redirected", "trap-client", whole_way,
         fmt::format("{}: and the next connection asks the TRAP server again", name_of(family)));
}

void visibility(Scene& scene) {
  for (const Family family : families) {
    knock_everywhere(scene, family);
    expect_redirects(scene, family);
  }
}

const Registration register_visibility{{
    .name = "visibility",
    .goal = "trapctl knock and redirects tell what happens",
    .play = visibility,
}};

} // namespace
} // namespace trap::lab
