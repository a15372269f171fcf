// SPDX-License-Identifier: Apache-2.0
// Clients that speak at once, at an interface whose polls bring several packets, as those of real
// cards do.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "lab/hosts/plain_socket.h"
#include "lab/programs/dial.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

struct Case {
  std::string_view what;
  int port;
  Manner manner;
  std::string_view answer; // how the reply begins
  int times;
};

// Segments of 1448 bytes; ten of them are what Linux sends before it waits for an ACK.
constexpr Case cases[] = {
    {"a request of one segment", service_port, {}, "HTTP/1.1 200 OK", 60},
    {"a request of two", service_port, {.request_bytes = 2500}, "HTTP/1.1 200 OK", 20},
    {"a request of ten", service_port, {.request_bytes = 12100}, "HTTP/1.1 200 OK", 20},
    {"a server that speaks first", 22, {.only_hears = true}, "SSH-2.0-", 20},
};

// Polls once a millisecond, as a card that
// coalesces its interrupts: a client's ACK and its request come together.
Result<void> gather_packets(const Host& host) {
  auto done = run_checked(host.command({"unshare", "--mount", "sh", "-ec",
                                        "mount -t sysfs sysfs /sys; cd /sys/class/net/eth0; "
                                        "echo 1000000 >gro_flush_timeout; "
                                        "echo 1000000 >napi_defer_hard_irqs"}),
                          std::chrono::seconds{5});
  if (!done)
    return done.error();
  return {};
}

// The reason why it did not go well; empty if it did.
std::string dial_once(Scene& scene, Family family, const Case& each) {
  const auto reply = dial(scene.host("stranger"), addresses_of("trap").address(family), each.port,
                          "/small.txt", each.manner);
  if (!reply)
    return reply.error().message;
  return reply->text.starts_with(each.answer) ? "" : "it got " + reply->text;
}

void expect_case(Scene& scene, Family family, const Case& each) {
  const std::string what = fmt::format("{}, {}, {} times", name_of(family), each.what, each.times);
  const auto before = stack_counters(scene.host("trap"));
  const auto client_before = stack_counters(scene.host("stranger"));
  std::string wrong;
  for (int time = 1; time <= each.times && wrong.empty(); time++)
    wrong = dial_once(scene, family, each);
  scene.check(wrong.empty(), what + ": each is answered", wrong);
  const auto after = stack_counters(scene.host("trap"));
  const auto client_after = stack_counters(scene.host("stranger"));
  if (!scene.check(before && client_before && after && client_after, what + ": the stacks count",
                   "their counters cannot be read"))
    return;
  const Counters moved = difference(*before, *after);
  const Counters client_moved = difference(*client_before, *client_after);
  scene.check(count_of(moved, "Tcp.PassiveOpens") == static_cast<std::uint64_t>(each.times),
              what + ": the stack opened one connection for each",
              fmt::format("it opened {}", count_of(moved, "Tcp.PassiveOpens")));
  scene.check(count_of(moved, "TcpExt.TCPOFOQueue") == 0, what + ": nothing arrived out of order",
              fmt::format("{} segments did", count_of(moved, "TcpExt.TCPOFOQueue")));
  const auto again = count_of(moved, "Tcp.RetransSegs") + count_of(client_moved, "Tcp.RetransSegs");
  scene.check(again == 0, what + ": nothing was sent twice",
              fmt::format("{} retransmissions", again));
}

constexpr int full_port = 8080;

// The service at full_port, which nothing listens at by itself.
std::string full_service() {
  const HostAddresses& trap = addresses_of("trap");
  return fmt::format("[[service]]\nname = \"full\"\naddresses = [\"{}\", \"{}\"]\n"
                     "activate = \"always\"\n",
                     endpoint(trap.ipv4, full_port), endpoint(trap.ipv6, full_port));
}

// Until the probe has met the listener, the stack answers.
bool is_answered_by_trap(Scene& scene, std::string_view address) {
  const auto status = scene.trap().server().status();
  return status && std::ranges::any_of(status->services, [&](const ServiceStatus& service) {
           return service.address == endpoint(address, full_port) && service.cookies == "own";
         });
}

// Data behind a handshake that the listener had no room for must wait, not be reset.
void expect_full_queue(Scene& scene, Family family) {
  const std::string what = fmt::format("{}, the listener's queue is full", name_of(family));
  const std::string request(5000, 'x');
  const std::string_view address = addresses_of("trap").address(family);
  const auto listener = listen_at(scene.host("trap"), address, full_port, {.backlog = 0});
  const bool answers = becomes([&] { return is_answered_by_trap(scene, address); });
  const auto first = connect_from(scene.host("trap"), address, full_port);
  if (!scene.check(listener && answers && first, what,
                   !listener ? listener.error().message : "no connection"))
    return;
  constexpr std::string_view handed_over = "pass-cookie";
  const auto before = scene.trap().server().counters();
  const auto client = connect_from(scene.host("stranger"), address, full_port);
  if (!scene.check(before && client, what + ": a client connects",
                   client ? "trap-server does not answer" : client.error().message) ||
      !scene.done(send_all(*client, request), what + ": it sends four segments"))
    return;
  const bool tried = becomes([&] {
    const auto counters = scene.trap().server().counters();
    return counters && count_of(*counters, handed_over) > count_of(*before, handed_over);
  });
  scene.check(tried, what + ": its handshake is handed over",
              fmt::format("{} did not move", handed_over));
  const auto filler = accept_from(*listener);
  const auto accepted = accept_from(*listener);
  const auto received = accepted ? receive(*accepted, request.size()) : accepted.error();
  scene.check(filler && received && *received == request,
              what + ": once there is room, the request arrives",
              received ? fmt::format("{} bytes did", received->size()) : received.error().message);
}

// Without a native XDP program a veth polls if it has GRO, what comes without segmentation offload.
Result<void> make_it_poll(Scene& scene) {
  for (const auto& [host, interface, feature, state] :
       {std::tuple{"router", "trap", "tso", "off"}, std::tuple{"trap", "eth0", "gro", "on"}})
    if (auto done =
            run_checked(scene.host(host).command({"ethtool", "-K", interface, feature, state}),
                        std::chrono::seconds{5});
        !done)
      return done.error();
  return {};
}

// They are connections too.
void wait_for_own_handshakes(Scene& scene) {
  const auto are_over = [&] {
    const auto status = scene.trap().server().status();
    return status && std::ranges::all_of(status->services, [](const ServiceStatus& service) {
             return service.self_test == "passed" || service.address.ends_with(":8080");
           });
  };
  scene.check(becomes(are_over), "handshakes of the daemon's own have passed", "they have not");
}

void first_request(Scene& scene) {
  if (!scene.done(gather_packets(scene.host("trap")), "eth0 polls once a millisecond"))
    return;
  for (const std::string_view host : {"trap", "stranger"}) // a tail loss probe is a retransmission,
    scene.done(scene.host(host).set("ipv4/tcp_early_retrans", "0"), // and may mean a busy machine
               fmt::format("no tail loss probes at {}", host));
  for (const Family family : families) {
    for (const Case& each : cases)
      expect_case(scene, family, each);
    expect_full_queue(scene, family);
  }
}

// Where the kernel runs XDP itself, it may leave a frame without its Ethernet header to tc.
void generic_mode(Scene& scene) {
  std::string configuration = server_text(scene.trap().plan());
  const std::string native = "xdp_mode = \"native\"";
  configuration.replace(configuration.find(native), native.size(), "xdp_mode = \"generic\"");
  Daemon& server = scene.trap().server();
  if (!scene.done(server.detach(), "trap-server is detached") ||
      !scene.done(server.configure(configuration), "it is told to use generic mode") ||
      !scene.done(server.start(), "it starts again") ||
      !scene.done(make_it_poll(scene), "eth0 polls without a native program"))
    return;
  const auto status = server.status();
  scene.equal("generic", status ? status->xdp_mode : "", "eth0's mode");
  first_request(scene);
}

void at_tc(Scene& scene) {
  if (!scene.done(scene.trap().topology().detach_pass_program("trap"),
                  "the other end of eth0 runs no XDP program") ||
      !scene.done(make_it_poll(scene), "eth0 polls without a native program"))
    return;
  first_request(scene);
}

void native_mode(Scene& scene) {
  wait_for_own_handshakes(scene);
  first_request(scene);
}

const Registration register_generic_mode{{
    .name = "generic-mode",
    .goal = "clients are served in generic mode, and their first requests answered at once",
    .plan = {.backends = false, .more_services = true, .server_keys = full_service()},
    .run_class = RunClass::busy,
    .play = generic_mode,
}};

const Registration register_at_tc{{
    .name = "first-request-at-tc",
    .goal =
        "with attach = \"tc\" a request that arrives with the completing ACK is answered at once",
    .plan = {.backends = false,
             .more_services = true,
             .server_keys = "attach = \"tc\"\n" + full_service()},
    .run_class = RunClass::busy,
    .play = at_tc,
}};

const Registration register_first_request{{
    .name = "first-request",
    .goal = "a request that arrives together with the completing ACK is answered at once",
    .plan = {.backends = false, .more_services = true, .server_keys = full_service()},
    .run_class = RunClass::busy,
    .play = native_mode,
}};

} // namespace
} // namespace trap::lab
