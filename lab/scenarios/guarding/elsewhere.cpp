// SPDX-License-Identifier: Apache-2.0
// A guard on a host that has not the service's sockets: a router in front of it, or the host of a
// container whose port it shows as its own. Here the service's host is both, in turns, and a host
// behind it has nginx.
#include <fmt/format.h>

#include "lab/hosts/counters.h"
#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::seconds;

constexpr std::string_view inner_gateway_ipv4 = "198.51.100.97",
                           inner_ipv4_address = "198.51.100.98";
constexpr std::string_view inner_gateway_ipv6 = "2001:db8:54::1",
                           inner_ipv6_address = "2001:db8:54::2";

std::string_view behind(Family family) {
  return family == Family::ipv4 ? inner_ipv4_address : inner_ipv6_address;
}

Result<void> connect_behind(Scene& scene, const Host& inner) {
  const HostAddresses& service = addresses_of("service");
  const Host& outer = scene.host("service");
  for (const std::string_view entry : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"})
    if (auto set = outer.set(entry, "1"); !set)
      return set;
  if (auto done =
          outer.ip(fmt::format("link add inner type veth peer name eth0 netns {}\n"
                               "address add {}/28 dev inner\n"
                               "address add {}/64 dev inner nodad\n"
                               "link set inner up\n",
                               inner.namespace_name(), inner_gateway_ipv4, inner_gateway_ipv6));
      !done)
    return done;
  if (auto done = inner.ip(fmt::format("address add {}/28 dev eth0\n"
                                       "address add {}/64 dev eth0 nodad\n"
                                       "link set eth0 up\n"
                                       "route add default via {}\n"
                                       "route add ::/0 via {}\n",
                                       inner_ipv4_address, inner_ipv6_address, inner_gateway_ipv4,
                                       inner_gateway_ipv6));
      !done)
    return done;
  return scene.host("router").ip(
      fmt::format("route add 198.51.100.96/28 via {}\nroute add 2001:db8:54::/64 via {}\n",
                  service.ipv4, service.ipv6));
}

// The configuration of the TRAP server with the host behind in the place of the service's.
std::string server_text_for_behind(Scene& scene) {
  std::string text = server_text(scene.trap().plan());
  for (const Family family : families) {
    const std::string here = fmt::format(
        "address = \"{}\"", endpoint(addresses_of("service").address(family), service_port));
    text.replace(text.find(here), here.size(),
                 fmt::format("address = \"{}\"", endpoint(behind(family), service_port)));
  }
  return text;
}

void reconfigure(Scene& scene, Daemon& daemon, const std::string& text, std::string_view what) {
  auto done = daemon.configure(text);
  if (done)
    done = daemon.reload();
  scene.done(done, what);
}

// Data that moves while the guard's daemon dies and comes back: the flow is all that lets it pass.
void survives_a_restart(Scene& scene, Family family, const std::string& what) {
  auto transfer = Transfer::start(scene.host("client"),
                                  {Deployment::public_url(family, "/steady/5mb.bin"), seconds{40}});
  if (!scene.check(transfer && Scene::wait_until_under_way(*transfer),
                   what + ": a download is under way", "it does not start"))
    return;
  scene.trap().guard().kill();
  scene.done(scene.trap().guard().start(), what + ": the guard's daemon is killed and started");
  const auto response = transfer->finish();
  scene.check(response && response->complete() && response->bytes == download_bytes,
              what + ": it arrives whole", response ? response->text() : response.error().message);
}

void expect_nothing_else_gets_in(Scene& scene, const Host& inner, std::string_view address,
                                 Family family, const std::string& what) {
  const auto before = stack_counters(inner);
  for (const auto& [flags, verdict] :
       {std::pair{tcp_syn, "drop-uninvited"}, std::pair{tcp_ack, "drop-no-flow"},
        std::pair{tcp_rst, "drop-no-flow"}}) {
    Segment segment = syn_from("stranger", family);
    segment.to.address = address_from(address);
    segment.flags = flags;
    expect_verdict(scene, std::vector<Segment>(20, segment), verdict,
                   fmt::format("{}: segments of strangers", what));
  }
  const auto after = stack_counters(inner);
  const std::uint64_t received =
      before && after ? count_of(difference(*before, *after), "Tcp.InSegs") : 1;
  scene.check(received == 0, what + ": none of them comes to the host behind",
              fmt::format("{} segments did", received));
}

// `address` is where clients are led.
void expect_guarded(Scene& scene, const Host& inner, std::string_view address, Family family,
                    std::string_view how) {
  const std::string what = fmt::format("{}, {}", name_of(family), how);
  const Visit visit = scene.visit_service(family, "/5mb.bin");
  scene.expect_whole(visit, family, download_bytes, what);
  const Counters& guard = visit.moved.guard;
  scene.check(count_of(guard, "pass-ticket") > 0 && count_of(guard, "pass-flow") > 0 &&
                  count_of(guard, "pass-consent") > 0 && count_of(guard, "pass-socket") == 0,
              what + ": by ticket and flow, not by a socket of this host", text_of(guard));
  const auto status = scene.trap().guard().status();
  scene.check(status && status->flows > 0 && status->flows_established == 0,
              what + ": the guard has seen both sides close",
              status ? fmt::format("{} of {} flows are established", status->flows_established,
                                   status->flows)
                     : status.error().message);
  const Visit stranger = scene.visit(
      "stranger", fmt::format("http://{}/small.txt", endpoint(address, service_port)), seconds{1});
  scene.check(stranger.response.exit_code == curl_timed_out &&
                  count_of(stranger.moved.guard, "drop-uninvited") > 0,
              what + ": a stranger gets no answer", stranger.response.text());
  expect_nothing_else_gets_in(scene, inner, address, family, what);
  survives_a_restart(scene, family, what);
}

// What container engines do for a port of a container.
Result<void> publish_port(Scene& scene) {
  Command nft = scene.host("service").command({"nft", "-f", "-"});
  nft.input = fmt::format("table inet container {{\n"
                          " chain published {{\n"
                          "  type nat hook prerouting priority dstnat;\n"
                          "  ip daddr {} tcp dport {} dnat ip to {}\n"
                          "  ip6 daddr {} tcp dport {} dnat ip6 to {}\n"
                          " }}\n"
                          "}}\n",
                          addresses_of("service").ipv4, service_port, inner_ipv4_address,
                          addresses_of("service").ipv6, service_port, inner_ipv6_address);
  auto done = run_checked(nft, seconds{5});
  if (!done)
    return done.error();
  return {};
}

void elsewhere(Scene& scene) {
  const auto inner = Host::create("behind");
  if (!scene.check(static_cast<bool>(inner), "a host behind the service's",
                   inner ? "" : inner.error().message) ||
      !scene.done(connect_behind(scene, *inner), "is connected to it, and routed to"))
    return;
  const auto web = Nginx::start(*inner, {service_port});
  if (!scene.check(static_cast<bool>(web), "and has nginx", web ? "" : web.error().message))
    return;
  scene.trap().stop_nginx("service");
  reconfigure(scene, scene.trap().guard(),
              guard_text(scene.trap().plan(), "service") + "sockets = \"elsewhere\"\n",
              "the guard is told that the sockets are elsewhere");
  reconfigure(scene, scene.trap().server(), server_text_for_behind(scene),
              "the TRAP server leads clients to the host behind");
  for (const Family family : families)
    expect_guarded(scene, *inner, behind(family), family, "a router with a guard");
  scene.done(publish_port(scene), "the host shows the container's port as its own");
  reconfigure(scene, scene.trap().server(), server_text(scene.trap().plan()),
              "the TRAP server leads clients to the host itself");
  scene.forget_redirects();
  for (const Family family : families)
    expect_guarded(scene, *inner, addresses_of("service").address(family), family,
                   "a container behind a port");
}

const Registration register_elsewhere{{
    .name = "elsewhere",
    .goal = "a guard in front of a host behind it, and of a container behind a port",
    .plan = quiet_plan(),
    .play = elsewhere,
}};

} // namespace
} // namespace trap::lab
