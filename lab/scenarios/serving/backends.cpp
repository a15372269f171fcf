// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/scenarios/serving/answers.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Answers = std::map<std::string, int>;

constexpr int clients_at_a_time = 14;

std::string text_of(const Answers& answers) {
  std::string text;
  for (const auto& [host, times] : answers)
    text += fmt::format("{} {}; ", host, times);
  return text;
}

// Clients that were not redirected yet.
Answers first_visits(Scene& scene, const std::vector<std::string>& clients) {
  Answers answers;
  for (const std::string& local : clients)
    answers[answering_host(scene, Family::ipv4, local)]++;
  return answers;
}

bool all_from(const Answers& answers, const std::string& host) {
  return answers.size() == 1 && answers.contains(host);
}

// `trapctl backend drain|activate` for both families' entries of a host.
void order(Scene& scene, const std::string& action, std::string_view host) {
  for (const Family family : families) {
    const auto said = scene.trap().server().control(
        {"backend", action, "web", endpoint(addresses_of(host).address(family), service_port)});
    scene.check(said && said->exit_code == 0,
                fmt::format("{}: trapctl backend {} {}", name_of(family), action, host),
                said ? fmt::format("exit code {}: {}", said->exit_code, said->errors)
                     : said.error().message);
  }
}

// `trapctl ready web`, as a router asks it.
void expect_ready(Scene& scene, bool ready, const std::string& when) {
  const auto said = scene.trap().server().control({"ready", "web"});
  scene.check(said && said->exit_code == (ready ? 0 : 1),
              fmt::format("{}: trapctl ready says {}", when, ready ? "ready" : "not ready"),
              said ? fmt::format("exit code {}: {}{}", said->exit_code, said->output, said->errors)
                   : said.error().message);
}

// One nginx dies: no client is redirected to it any more; when it comes back, its clients are.
void lose_and_regain(Scene& scene, const std::string& lost, const std::string& other) {
  scene.trap().stop_nginx(lost);
  scene.check(wait_for_health(scene, lost, "down"), lost + " dies: the server finds out within 2 s",
              "its health is not down");
  scene.forget_redirects();
  const Answers answers = first_visits(scene, add_clients(scene, 20, 20 + clients_at_a_time - 1));
  scene.check(all_from(answers, other), lost + " is down: every client is led to the other",
              text_of(answers));
  expect_ready(scene, true, lost + " is down");
  const std::string ipv6 = answering_host(scene, Family::ipv6, {});
  scene.check(ipv6 == other, lost + " is down: over IPv6 too", ipv6);
  scene.done(scene.trap().start_nginx(lost), lost + " comes back");
  scene.check(wait_for_health(scene, lost, "up"),
              lost + " comes back: the server finds out within 2 s", "its health is not up");
  scene.forget_redirects();
  const std::string back = answering_host(scene, Family::ipv6, {});
  scene.check(back == lost, lost + " is back: and so is its client", back);
}

// A backend that is drained keeps its clients and gets no new ones.
void drain_and_activate(Scene& scene, const std::string& drained, const std::string& other) {
  auto transfer =
      Transfer::start(scene.host("client"), {Deployment::public_url(Family::ipv6, "/slow/5mb.bin"),
                                             std::chrono::seconds{20}});
  if (!scene.check(transfer && Scene::wait_until_under_way(*transfer),
                   "a download from " + drained + " is under way", "it did not get there"))
    return;
  order(scene, "drain", drained);
  expect_ready(scene, true, drained + " is draining");
  const Answers answers = first_visits(scene, add_clients(scene, 34, 34 + clients_at_a_time - 1));
  scene.check(all_from(answers, other), drained + " is draining: new clients are led to the other",
              text_of(answers));
  scene.done(scene.trap().server().reload(), "a reload");
  const auto status = scene.trap().server().status();
  const bool still =
      status && std::ranges::all_of(status->services, [&](const ServiceStatus& service) {
        return std::ranges::count(service.backends, "draining", &BackendStatus::state) == 1;
      });
  scene.check(still, drained + " is draining after a reload as well",
              status ? "it is not" : status.error().message);
  const std::string old = answering_host(scene, Family::ipv6, {});
  scene.check(old == drained, drained + " is draining: its client stays", old);
  const auto response = transfer->finish();
  scene.check(response && response->complete() && response->bytes == download_bytes,
              drained + " is draining: the download completes",
              response ? response->text() : response.error().message);
  order(scene, "drain", other);
  expect_ready(scene, false, "both are draining");
  order(scene, "activate", other);
  order(scene, "activate", drained);
  expect_ready(scene, true, "both are active");
  scene.forget_redirects();
  const std::string back = answering_host(scene, Family::ipv6, {});
  scene.check(back == drained, drained + " is active again: and has its client back", back);
}

void backends(Scene& scene) {
  for (const std::string_view host : {"service", "service-2"})
    scene.check(wait_for_health(scene, host, "up"), fmt::format("{} is up", host),
                "its health is not up");
  const Answers answers = first_visits(scene, add_clients(scene, 3, 3 + clients_at_a_time - 1));
  scene.check(answers.size() == 2 && answers.contains("service") && answers.contains("service-2"),
              "both serve some of 14 clients", text_of(answers));
  const std::string mine = answering_host(scene, Family::ipv6, {});
  const std::string other = mine == "service" ? "service-2" : "service";
  lose_and_regain(scene, mine, other);
  drain_and_activate(scene, mine, other);
}

const Registration register_backends{{
    .name = "backends",
    .goal = "backends die, come back, are drained and activated",
    .plan = health_checked_plan(),
    .play = backends,
}};

} // namespace
} // namespace trap::lab
