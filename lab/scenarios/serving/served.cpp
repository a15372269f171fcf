// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/matrix/wire.h"
#include "lab/programs/programs.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/flood.h"
#include "lab/traffic/frame.h"
#include "lab/traffic/reset_watch.h"

namespace trap::lab {
namespace {

constexpr std::string_view word = "word-from-behind";
// A flood worth the name, in SYNs a second where timeouts are not scaled; the check's line has the
// rate that the machine gives.
constexpr double flood_at_least = 5'000;
constexpr double megabits_at_least = 1;

std::filesystem::path original(Scene& scene) {
  return scene.host(scene.trap().plan().backends ? "service" : "trap").directory() /
         "nginx/documents/5mb.bin";
}

void expect_curl_and_wget(Scene& scene, Family family, const std::string& what) {
  const std::string url = Deployment::public_url(family, "/5mb.bin");
  const auto response = fetch(scene.host("stranger"), {url});
  scene.check(response && response->complete() && same_content(response->body, original(scene)),
              what + ": curl", response ? response->text() : response.error().message);
  const auto file = wget(scene.host("stranger"), url);
  scene.check(file && same_content(*file, original(scene)), what + ": wget",
              file ? "the file differs" : file.error().message);
}

void expect_shell(Scene& scene, Family family, const std::string& what) {
  const auto login = scene.trap().sshd().login(
      scene.host("stranger"), addresses_of("trap").address(family), fmt::format("echo {}", word));
  scene.check(login && login->exit_code == 0 && login->output == fmt::format("{}\n", word),
              what + ": ssh",
              login ? fmt::format("exit code {}: {}", login->exit_code, login->errors)
                    : login.error().message);
}

void expect_speed(Scene& scene, Family family, const std::string& what) {
  for (const bool reverse : {false, true}) {
    const auto rate =
        iperf(scene.host("stranger"), addresses_of("trap").address(family), speed_port, reverse);
    scene.check(rate && *rate > megabits_at_least,
                fmt::format("{}: iperf3 {}{}", what, reverse ? "down" : "up",
                            rate ? fmt::format(", {:.0f} Mbit/s", *rate) : ""),
                rate ? "hardly anything arrived" : rate.error().message);
  }
}

void expect_browser(Scene& scene, Family family, const std::string& what) {
  const auto page = chromium(scene.host("stranger"), Deployment::public_url(family, "/page.html"));
  scene.check(page && page->find(fmt::format(">{}<", page_verdict)) != std::string::npos,
              what + ": a headless Chromium shows a page", page ? *page : page.error().message);
}

// A SYN cookie must not cost the connection its options.
void expect_options(Scene& scene, Family family, const std::string& what) {
  auto transfer =
      Transfer::start(scene.host("stranger"),
                      {Deployment::public_url(family, "/slow/5mb.bin"), std::chrono::seconds{20}});
  if (!scene.check(transfer && Scene::wait_until_under_way(*transfer),
                   what + ": a slow download is under way", "it did not get there"))
    return;
  const auto seen =
      connections_at(scene.host("trap"), addresses_of("trap").address(family), service_port);
  const std::string text = seen ? *seen : seen.error().message;
  for (const std::string_view option : {" ts ", " sack ", " wscale:"})
    scene.check(text.find(option) != std::string::npos,
                fmt::format("{}: the connection has{}", what, option), text);
}

void expect_no_conntrack(Scene& scene) {
  const auto count =
      run_checked(scene.host("trap").command({"cat", "/proc/sys/net/netfilter/nf_conntrack_count"}),
                  std::chrono::seconds{5});
  const bool absent = !count && count.error().message.find("No such file") != std::string::npos;
  scene.check(absent || (count && *count == "0\n"), "no connection tracking entry at the TRAP host",
              count ? *count : count.error().message);
}

void expect_flood(Scene& scene, const Flood& flood, const std::string& what) {
  const auto seen = flood.seen();
  const double second =
      std::chrono::duration<double>(scale_timeout(std::chrono::seconds{1})).count();
  scene.check(
      seen && seen->per_second() * second > flood_at_least,
      fmt::format("{}: all of it under {:.0f} SYNs a second", what, seen ? seen->per_second() : 0),
      "that is no flood");
}

// One program and its checks. iperf3 resets a connection by itself, now and then, if it
// closes it with data unread: its resets do not count.
struct Program {
  std::string_view name;
  void (*expect)(Scene&, Family, const std::string&);
  bool resets_itself = false;
};

std::vector<Program> programs_of(Scene& scene) {
  std::vector<Program> programs = {{"curl and wget", expect_curl_and_wget},
                                   {"ssh", expect_shell},
                                   {"a slow download", expect_options}};
  if (scene.trap().plan().backends)
    programs.insert(programs.end(), {{"iperf3", expect_speed, true}, {"Chromium", expect_browser}});
  return programs;
}

// Unmodified programs on a host without a client module, and beside them one with it.
void serve_family(Scene& scene, Family family) {
  const std::string what{name_of(family)};
  const auto before = scene.trap().read();
  auto resets = ResetWatch::start(scene.host("stranger"));
  const auto flood =
      Flood::start(scene.trap().topology(), {family, FloodKind::syn, "trap", service_port, true});
  if (!scene.check(resets && flood && before, what + ": a flood begins",
                   !flood ? flood.error().message : "cannot watch"))
    return;
  std::string resets_of;
  for (const Program& program : programs_of(scene)) {
    program.expect(scene, family, what);
    if (const std::uint64_t count = resets->count(); count > 0 && !program.resets_itself)
      resets_of += fmt::format(" {} at {}", count, program.name);
  }
  expect_flood(scene, *flood, what);
  scene.check(resets_of.empty(), what + ": not one reset arrived", "there were" + resets_of);

  const auto after = scene.trap().read();
  const Reading moved = after ? difference(*before, *after) : Reading{};
  scene.check(count_of(moved.server, "pass-cookie") >= 4 &&
                  count_of(moved.server, "pass-socket") > 100,
              what + ": handshakes by cookie, segments to their sockets", text_of(moved.server));
  scene.check(count_of(moved.server, "reply-redirect") == 0 &&
                  count_of(moved.server, "drop-no-listener") == 0,
              what + ": no client was redirected or refused", text_of(moved.server));
  if (scene.trap().plan().backends)
    scene.check(count_of(moved.guard, "pass-trusted") >= 4, what + ": the guard let the relay in",
                text_of(moved.guard));
}

void expect_aware_client_redirected(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, a client with the module", name_of(family));
  const auto flood =
      Flood::start(scene.trap().topology(), {family, FloodKind::syn, "trap", service_port, true});
  const Visit visit = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(visit, family, download_bytes, what);
  scene.expect_handed_over(visit, what);
}

void served(Scene& scene) {
  scene.done(write_page(scene.trap().service().documents()), "a page of four resources is there");
  for (const Family family : families) {
    serve_family(scene, family);
    expect_aware_client_redirected(scene, family);
  }
  expect_no_conntrack(scene);
}

// TRAP protects the machine that it runs on: two lines of configuration a service.
void one_host(Scene& scene) {
  for (const Family family : families) {
    serve_family(scene, family);
    const Visit aware = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(aware, family, download_bytes,
                       fmt::format("{}, a client with the module", name_of(family)));
  }
  expect_no_conntrack(scene);
}

// An XDP program here would cost the other end of eth0 its segmentation offload, and the other end
// would need one too.
void expect_offloads(Scene& scene) {
  const auto features =
      run_checked(scene.host("router").command({"ethtool", "-k", "trap"}), std::chrono::seconds{5});
  scene.check(features && features->find("tcp-segmentation-offload: on") != std::string::npos,
              "the other end of eth0 keeps its segmentation offload",
              features ? "it is off" : features.error().message);
}

constexpr int a_tag = 7;

// The stack has taken the tag out of the frame when tc meets it.
void expect_tags(Scene& scene, Family family) {
  const HostAddresses& trap = addresses_of("trap");
  const auto server = parse_endpoint(endpoint(trap.address(family), service_port));
  const auto client = parse_endpoint(endpoint(addresses_of("stranger").address(family), 40007));
  for (const int tag : {-1, a_tag}) {
    const std::string what = fmt::format("{}, a SYN {}", name_of(family),
                                         tag < 0 ? "without a VLAN tag" : "with a VLAN tag");
    const auto wire =
        Wire::open(scene.host("router"),
                   {.source = trap.router_mac(), .destination = trap.mac(), .vlan = tag});
    if (!scene.check(server && client && wire, what, "it cannot be sent") ||
        !scene.done(wire->send({.from = *client, .to = *server, .seq = 1, .flags = tcp_syn}),
                    what + " is sent"))
      continue;
    const auto seen = wire->next(*server, *client, scale_timeout(std::chrono::seconds{5}));
    scene.check(seen && seen->vlan == tag && seen->flags == (tcp_syn | tcp_ack),
                what + " is answered alike", seen ? "the tag differs" : "it is not answered");
  }
}

// The answer ends before the place where such a SYN has its TCP header.
void expect_answers_behind_headers(Scene& scene, Family family) {
  constexpr std::uint8_t destination_options = 60, unknown_but_skipped = 0x3e;
  const HostAddresses& trap = addresses_of("trap");
  const auto server = parse_endpoint(endpoint(trap.address(family), service_port));
  const auto client = parse_endpoint(endpoint(addresses_of("stranger").address(family), 40008));
  const auto wire =
      Wire::open(scene.host("router"), {.source = trap.router_mac(), .destination = trap.mac()});
  const auto frames = FrameSocket::open(scene.host("router"), "trap");
  const std::string what = fmt::format("{}, a SYN behind long headers", name_of(family));
  if (!scene.check(server && client && wire && frames, what, "it cannot be sent"))
    return;
  Segment syn = {.from = *client, .to = *server, .seq = 1, .flags = tcp_syn};
  syn.ip.options = Bytes(40, 1);
  Bytes long_header(200, 0);
  long_header[1] = 200 / 8 - 1;
  long_header[2] = unknown_but_skipped;
  long_header[3] = 200 - 4;
  syn.ip.extensions = {{destination_options, long_header}};
  if (!scene.done(frames->send(frame_to(trap, syn)), what + " is sent"))
    return;
  const auto seen = wire->next(*server, *client, scale_timeout(std::chrono::seconds{5}));
  scene.check(seen && seen->flags == (tcp_syn | tcp_ack), what + " is answered",
              seen ? "by something else" : "it is not answered");
}

void at_tc(Scene& scene) {
  if (!scene.done(scene.trap().topology().detach_pass_program("trap"),
                  "the other end of eth0 runs no XDP program"))
    return;
  const auto on = run_checked(scene.host("router").command({"ethtool", "-K", "trap", "tso", "on"}),
                              std::chrono::seconds{5});
  scene.check(static_cast<bool>(on), "segmentation offload is switched on",
              on ? "" : on.error().message);
  const auto status = scene.trap().server().status();
  scene.equal("tc", status ? status->xdp_mode : "", "eth0's mode");
  expect_offloads(scene);
  for (const Family family : families) {
    expect_tags(scene, family);
    expect_answers_behind_headers(scene, family);
  }
  served(scene);
  expect_offloads(scene);
  const auto after = scene.trap().server().status();
  scene.check(after && after->problems.empty(), "trap-server finds nothing wrong",
              after && !after->problems.empty() ? after->problems.front() : "no status");
}

DeploymentPlan served_plan(RelayKind relay) {
  DeploymentPlan plan = relayed_plan();
  plan.relay = relay;
  plan.more_services = true;
  plan.kernel_cookies = relay == RelayKind::haproxy;
  return plan;
}

const Registration register_serve_nginx{{
    .name = "serve-nginx",
    .goal = "unmodified programs are served through nginx during a flood",
    .plan = served_plan(RelayKind::nginx),
    .run_class = RunClass::busy,
    .play = served,
}};

const Registration register_serve_haproxy{{
    .name = "serve-haproxy",
    .goal = "unmodified programs are served through HAProxy and by kernel cookies during a flood",
    .plan = served_plan(RelayKind::haproxy),
    .run_class = RunClass::busy,
    .play = served,
}};

DeploymentPlan plan_at_tc() {
  DeploymentPlan plan = served_plan(RelayKind::nginx);
  plan.server_keys = "attach = \"tc\"\n";
  return plan;
}

const Registration register_at_tc{{
    .name = "attach-tc",
    .goal =
        "at tc clients are served and redirected during a flood, and the veth keeps its offloads",
    .plan = plan_at_tc(),
    .run_class = RunClass::busy,
    .play = at_tc,
}};

const Registration register_one_host{{
    .name = "one-host",
    .goal = "TRAP protects nginx and sshd on its own host, without backends",
    .plan = {.backends = false, .more_services = true},
    .run_class = RunClass::busy,
    .play = one_host,
}};

} // namespace
} // namespace trap::lab
