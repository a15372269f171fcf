// SPDX-License-Identifier: Apache-2.0
// A client's knowledge becomes wrong: services die, tickets expire, keys change. Existing
// connections go on, and new ones find the new way by themselves.
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/scenarios/serving/answers.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds transfer_deadline{40000}, expiry_deadline{20000};

// The host that answers one connection, and the counters that moved at the client.
struct Answer {
  std::string host;
  Counters moved;
};

Answer ask(Scene& scene, Family family) {
  const auto before = scene.trap().client().counters();
  Answer answer{answering_host(scene, family, {}), {}};
  const auto after = scene.trap().client().counters();
  if (before && after)
    answer.moved = difference(*before, *after);
  return answer;
}

std::string_view other_than(std::string_view host) {
  return host == "service" ? "service-2" : "service";
}

std::string network_of(std::string_view host, Family family) {
  return fmt::format("{}/{}", addresses_of(host).address(family),
                     family == Family::ipv4 ? 32 : 128);
}

// The client has a redirect to `host`, which the server knows to be dead: its next connection must
// find the other by itself.
void expect_other(Scene& scene, Family family, std::string_view host, std::string_view verdict,
                  const std::string& what) {
  scene.check(wait_for_health(scene, host, "down"), what + ": the server finds out",
              "its health is not down");
  const Answer answer = ask(scene, family);
  scene.check(answer.host == other_than(host),
              what + ": the next connection is led to the other host", answer.host);
  scene.check(count_of(answer.moved, verdict) > 0, fmt::format("{}: {}", what, verdict),
              text_of(answer.moved));
}

void refuses(Scene& scene, Family family) {
  const std::string host = ask(scene, family).host;
  const std::string what = fmt::format("{}, {} dies and its host refuses", name_of(family), host);
  scene.trap().stop_nginx(host);
  expect_other(scene, family, host, "reply-syn-again", what);
  scene.done(scene.trap().start_nginx(host), what + ": it comes back");
  scene.check(wait_for_health(scene, host, "up"), what + ": the server finds that out, too",
              "its health is not up");
}

// `kind`: of route: "blackhole" says nothing, "unreachable" sends ICMP errors.
void vanishes(Scene& scene, Family family, std::string_view kind, std::string_view verdict) {
  const Host& router = scene.host("router");
  const std::string host = ask(scene, family).host;
  const std::string what = fmt::format("{}, {} is lost ({})", name_of(family), host, kind);
  std::string add, remove;
  for (const Family each : families) {
    add += fmt::format("route add {} {}\n", kind, network_of(host, each));
    remove += fmt::format("route del {} {}\n", kind, network_of(host, each));
  }
  scene.done(router.ip(add), what + ": its network goes");
  expect_other(scene, family, host, verdict, what);
  scene.done(router.ip(remove), what + ": its network comes back");
  scene.check(wait_for_health(scene, host, "up"), what + ": the server finds that out, too",
              "its health is not up");
}

std::optional<Transfer> begin_download(Scene& scene, Family family, std::string_view path,
                                       const std::string& what) {
  auto transfer = Transfer::start(scene.host("client"),
                                  {Deployment::public_url(family, path), transfer_deadline});
  if (!scene.check(transfer && Scene::wait_until_under_way(*transfer),
                   what + ": a download is under way", "it did not get there"))
    return {};
  return std::optional<Transfer>{std::move(*transfer)};
}

void expect_download(Scene& scene, Transfer& transfer, const std::string& what) {
  const auto response = transfer.finish();
  scene.check(response && response->complete() &&
                  same_content(response->body, scene.trap().service().documents() / "5mb.bin"),
              what + ": the download completes",
              response ? response->text() : response.error().message);
}

bool wait_until_redirects_are_over(Scene& scene) {
  return becomes(
      [&] {
        const auto status = scene.trap().client().status();
        return status && status->redirects.empty();
      },
      expiry_deadline);
}

void dead_services(Scene& scene) {
  for (const std::string_view host : {"service", "service-2"})
    scene.check(wait_for_health(scene, host, "up"), fmt::format("{} is up", host),
                "its health is not up");
  for (const Family family : families) {
    refuses(scene, family);
    vanishes(scene, family, "unreachable", "reply-syn-again");
    vanishes(scene, family, "blackhole", "pass-syn-given-up");
  }
}

void expiry(Scene& scene) {
  Daemon& client = scene.trap().client();
  scene.done(client.configure("renew = false\n"), "redirects are not to be renewed");
  scene.done(client.reload(), "and trap-client knows that");
  for (const Family family : families) {
    const std::string what = fmt::format("{}, a ticket expires", name_of(family));
    auto transfer = begin_download(scene, family, "/crawl/5mb.bin", what);
    if (!transfer)
      return;
    scene.check(wait_until_redirects_are_over(scene) && transfer->running(),
                what + ": during the download", "it did not, or that ended");
    scene.expect_handed_over(scene.visit_service(family, "/small.txt"),
                             what + ", the next connection");
    expect_download(scene, *transfer, what);
  }
}

// The tickets that the client holds are wrong from one moment to the next, which guards answer with
// silence.
void new_keys(Scene& scene) {
  Deployment& trap = scene.trap();
  for (const Family family : families) {
    const std::string what = fmt::format("{}, other keys", name_of(family));
    auto transfer = begin_download(scene, family, "/slow/5mb.bin", what);
    if (!transfer)
      return;
    scene.done(trap.replace_keys(), what + ": are made");
    scene.done(trap.guard().reload(), what + ": the guard has them");
    scene.done(trap.server().reload(), what + ": the server has them");
    const Visit visit = scene.visit_service(family, "/small.txt");
    scene.check(visit.response.complete(), what + ": the next connection gets through",
                visit.response.text());
    scene.check(count_of(visit.moved.guard, "drop-ticket-mac") > 0,
                what + ": though not with its ticket", text_of(visit.moved.guard));
    const Visit later = scene.visit_service(family, "/small.txt");
    scene.check(later.response.complete(), what + ": and so do later ones", later.response.text());
    expect_download(scene, *transfer, what);
  }
}

const Registration register_dead_services{{
    .name = "dead-services",
    .goal = "services that die: their clients find the others by themselves",
    .plan = health_checked_plan(),
    .play = dead_services,
}};

const Registration register_expiry{{
    .name = "expiry",
    .goal = "tickets expire during a connection and between two",
    .plan = {.ticket_lifetime_s = 8},
    .play = expiry,
}};

const Registration register_new_keys{{
    .name = "new-keys",
    .goal = "other keys from one moment to the next",
    .play = new_keys,
}};

} // namespace
} // namespace trap::lab
