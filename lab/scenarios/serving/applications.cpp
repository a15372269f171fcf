// SPDX-License-Identifier: Apache-2.0
// Unmodified programs on the client's host: at the public address, through TRAP, and at an ordinary
// server, where nothing is different.
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/programs/databases.h"
#include "lab/programs/programs.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/reset_watch.h"

namespace trap::lab {
namespace {

constexpr std::string_view word = "word-from-behind";
constexpr int pictures = 60;
constexpr double megabits_at_least = 1;

// Everything that the programs speak to, on one host. nginx of "service" is the deployment's.
struct Servers {
  std::optional<Nginx> nginx;
  std::optional<Sshd> sshd;
  std::optional<Process> iperf, redis;
  std::optional<Postgres> postgres;
  std::filesystem::path documents;
};

// The address that the programs dial, and the servers behind it.
struct Target {
  std::string_view host; // whose address is dialled
  const Servers* servers;
};

template <typename Program>
bool keep(Scene& scene, std::optional<Program>& place, Result<Program> made,
          const std::string& what) {
  if (!scene.check(static_cast<bool>(made), what, made ? "" : made.error().message))
    return false;
  place.emplace(std::move(*made));
  return true;
}

bool start_servers(Scene& scene, std::string_view name, Servers& servers) {
  const Host& host = scene.host(name);
  const std::string on = fmt::format(" on {}", name);
  if (name != "service" &&
      !keep(scene, servers.nginx, Nginx::start(host, {service_port}), "nginx" + on))
    return false;
  servers.documents =
      servers.nginx ? servers.nginx->documents() : scene.trap().service().documents();
  return scene.done(write_gallery(servers.documents, pictures), "a page of many pictures" + on) &&
         keep(scene, servers.sshd, Sshd::start(host, shell_port), "sshd" + on) &&
         keep(scene, servers.iperf, start_iperf(host), "iperf3" + on) &&
         keep(scene, servers.redis, start_redis(host, cache_port), "Redis" + on) &&
         keep(scene, servers.postgres, Postgres::start(host, database_port), "PostgreSQL" + on);
}

std::string_view address_of(const Target& target, Family family) {
  return addresses_of(target.host).address(family);
}

std::string url(const Target& target, Family family, std::string_view path) {
  return fmt::format("http://{}{}", endpoint(address_of(target, family), service_port), path);
}

void expect_documents(Scene& scene, const Target& target, Family family, const std::string& what) {
  const auto original = target.servers->documents / "5mb.bin";
  const auto response = fetch(scene.host("client"), {url(target, family, "/5mb.bin")});
  scene.check(response && response->complete() && same_content(response->body, original),
              what + ": curl", response ? response->text() : response.error().message);
  scene.check(response && response->remote_address == address_of(target, family),
              what + ": getpeername() shows what curl dialled",
              response ? response->remote_address : "nothing");
  const auto file = wget(scene.host("client"), url(target, family, "/5mb.bin"));
  scene.check(file && same_content(*file, original), what + ": wget",
              file ? "the file differs" : file.error().message);
}

void expect_shell(Scene& scene, const Target& target, Family family, const std::string& what) {
  const auto login = target.servers->sshd->login(scene.host("client"), address_of(target, family),
                                                 fmt::format("echo {}", word));
  scene.check(login && login->exit_code == 0 && login->output == fmt::format("{}\n", word),
              what + ": ssh",
              login ? fmt::format("exit code {}: {}", login->exit_code, login->errors)
                    : login.error().message);
}

void expect_cache(Scene& scene, const Target& target, Family family, const std::string& what) {
  const auto said =
      redis_word(scene.host("client"), address_of(target, family), cache_port, std::string{word});
  scene.check(said && *said == fmt::format("{}\n", word), what + ": redis-cli",
              said ? *said : said.error().message);
  const auto rate = redis_benchmark(scene.host("client"), address_of(target, family), cache_port);
  scene.check(rate && *rate > 0,
              fmt::format("{}: redis-benchmark, {:.0f} requests/s", what, rate ? *rate : 0),
              rate ? "no rate" : rate.error().message);
}

void expect_database(Scene& scene, const Target& target, Family family, const std::string& what) {
  const auto sum = psql(scene.host("client"), address_of(target, family), database_port,
                        "select sum(n) from generate_series(1, 1000) n");
  scene.check(sum && *sum == "500500\n", what + ": psql", sum ? *sum : sum.error().message);
  const auto rows = psql(scene.host("client"), address_of(target, family), database_port,
                         "select repeat('x', 99) from generate_series(1, 10000)");
  scene.check(rows && rows->size() == 1'000'000, what + ": psql, a megabyte of rows",
              rows ? fmt::format("{} bytes", rows->size()) : rows.error().message);
}

void expect_speed(Scene& scene, const Target& target, Family family, const std::string& what) {
  for (const bool reverse : {false, true}) {
    const auto rate = iperf(scene.host("client"), address_of(target, family), speed_port, reverse);
    scene.check(rate && *rate > megabits_at_least,
                fmt::format("{}: iperf3 {}{}", what, reverse ? "down" : "up",
                            rate ? fmt::format(", {:.0f} Mbit/s", *rate) : ""),
                rate ? "hardly anything arrived" : rate.error().message);
  }
}

void expect_crowd(Scene& scene, const Target& target, Family family, const std::string& what) {
  const auto result = wrk(scene.host("client"), url(target, family, "/small.txt"));
  scene.check(result && result->errors.empty() && result->requests_per_s > 0,
              fmt::format("{}: wrk with 1000 connections, {:.0f} requests/s", what,
                          result ? result->requests_per_s : 0),
              result ? result->errors : result.error().message);
}

void expect_browser(Scene& scene, const Target& target, Family family, const std::string& what) {
  const auto page = chromium(scene.host("client"), url(target, family, "/gallery.html"));
  scene.check(page && page->find(fmt::format(">{}<", page_verdict)) != std::string::npos,
              fmt::format("{}: a headless Chromium shows a page of {} pictures", what, pictures),
              page ? *page : page.error().message);
}

// iperf3 and wrk end by closing connections that have data under way, which resets answer now and
// then, at an ordinary server as well: those do not count, nor those that follow the program's end
// on a busy machine. Both tell of connections that were reset before.
struct Program {
  std::string_view name;
  void (*expect)(Scene&, const Target&, Family, const std::string&);
  bool resets_itself = false;
};

constexpr Program programs[] = {{"curl and wget", expect_documents},
                                {"ssh", expect_shell},
                                {"Redis", expect_cache},
                                {"PostgreSQL", expect_database},
                                {"iperf3", expect_speed, true},
                                {"wrk", expect_crowd, true},
                                {"Chromium", expect_browser}};

// Resets count at the stack: those of TRAP's handshakes end in the module.
Counters run_programs(Scene& scene, const Target& target, Family family) {
  const std::string what = fmt::format(
      "{}, {}", target.host == "trap" ? "through TRAP" : "an ordinary server", name_of(family));
  const auto before = scene.trap().read();
  auto resets = ResetWatch::start_at_stack(scene.host("client"));
  if (!scene.check(before && resets, what + ": the client is watched",
                   before ? "no raw socket" : before.error().message))
    return {};
  std::string resets_of;
  for (const Program& program : programs) {
    program.expect(scene, target, family, what);
    if (program.resets_itself)
      scene.check(connections_end(scene.host(target.host == "trap" ? "service" : target.host),
                                  addresses_of("client").address(family)),
                  fmt::format("{}: the connections of {} end", what, program.name),
                  "the server still has some");
    if (const std::uint64_t count = resets->count(); count > 0 && !program.resets_itself)
      resets_of += fmt::format(" {} at {}", count, program.name);
  }
  scene.check(resets_of.empty(), what + ": not one reset reached the stack",
              "there were" + resets_of);
  const auto after = scene.trap().read();
  return after ? difference(before->client, after->client) : Counters{};
}

void applications(Scene& scene) {
  Servers at_service, at_plain;
  if (!start_servers(scene, "service", at_service) || !start_servers(scene, "plain", at_plain))
    return;
  const std::size_t services = services_of(scene.trap().plan()).size();
  for (const Family family : families) {
    const Counters led = run_programs(scene, {"trap", &at_service}, family);
    scene.check(
        count_of(led, "reply-reissued-syn") == services,
        fmt::format(
            "{}: the module led one connection to each of {} services through the TRAP server",
            name_of(family), services),
        text_of(led));
    scene.check(count_of(led, "pass-syn-ticketed") > 1000 &&
                    count_of(led, "pass-syn-given-up") == 0,
                fmt::format("{}: the others went straight, with their tickets", name_of(family)),
                text_of(led));
    const Counters left_alone = run_programs(scene, {"plain", &at_plain}, family);
    scene.check(
        count_of(left_alone, "pass-to-service") == 0 && count_of(left_alone, "reply-accept") == 0 &&
            count_of(left_alone, "pass-syn-remembered") > 1000,
        fmt::format("{}: the module left those to the ordinary server alone", name_of(family)),
        text_of(left_alone));
  }
}

const Registration register_applications{{
    .name = "applications",
    .goal = "real programs of every kind, through TRAP and at an ordinary server",
    .plan = {.applications = true, .guards_trust = true},
    .run_class = RunClass::busy,
    .play = applications,
}};

} // namespace
} // namespace trap::lab
