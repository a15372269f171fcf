// SPDX-License-Identifier: Apache-2.0
// The stack of the TRAP host must know the same of a served client as of one whose SYN it answered
// itself.
#include "lab/scenarios/serving/equality.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "lab/hosts/plain_socket.h"
#include "lab/network/tunnel.h"

namespace trap::lab {
namespace {

constexpr std::chrono::milliseconds one_way{50};
constexpr std::string_view far_ipv4 = "198.51.100.200", far_ipv6 = "2001:db8:f00::2";
constexpr int tries = 3; // a busy machine makes some longer

// The stranger reaches the TRAP host through the tunnel.
Result<void> lead_through_tunnel(Scene& scene) {
  const HostAddresses& trap = addresses_of("trap");
  if (auto done = scene.host("stranger")
                      .ip(fmt::format("link set far0 up\n"
                                      "address add {0}/32 dev far0\n"
                                      "address add {1}/128 dev far0 nodad\n"
                                      "route add {2} dev far0 src {0}\n"
                                      "route add {3} dev far0 src {1}\n",
                                      far_ipv4, far_ipv6, trap.ipv4, trap.ipv6));
      !done)
    return done;
  return scene.host("router").ip(fmt::format("link set far0 up\n"
                                             "route add {} dev far0\n"
                                             "route add {} dev far0\n",
                                             far_ipv4, far_ipv6));
}

// Listeners of one family at a port with TRAP and at one without.
struct Ports {
  Family family;
  int served, plain;
  Fd served_listener, plain_listener;
};

Result<ConnectionFacts> connection_at(Scene& scene, Family family, int port, const Fd& listener) {
  const auto client =
      connect_from(scene.host("stranger"), addresses_of("trap").address(family), port);
  const auto accepted = client ? accept_from(listener) : client.error();
  const auto of_client = accepted ? facts_of(*client) : accepted.error();
  auto facts = of_client ? facts_of(*accepted) : of_client.error();
  if (facts)
    facts->segment_bytes = of_client->segment_bytes;
  return facts;
}

// True once TRAP's cookies serve a client.
bool is_answered_by_trap(Scene& scene, const Ports& ports) {
  const auto before = scene.trap().server().counters();
  const auto facts = connection_at(scene, ports.family, ports.served, ports.served_listener);
  const auto after = scene.trap().server().counters();
  return before && facts && after &&
         count_of(*after, "reply-syn-ack") > count_of(*before, "reply-syn-ack");
}

std::optional<Ports> listen_at_both(Scene& scene, Family family, int served_port, int plain_port) {
  const std::string_view address = addresses_of("trap").address(family);
  auto served = listen_at(scene.host("trap"), address, served_port);
  auto plain = listen_at(scene.host("trap"), address, plain_port);
  if (!scene.check(served && plain, fmt::format("{}: there are two listeners", name_of(family)),
                   "they cannot be made"))
    return std::nullopt;
  Ports ports = {family, served_port, plain_port, std::move(*served), std::move(*plain)};
  if (!scene.check(becomes([&] { return is_answered_by_trap(scene, ports); }),
                   fmt::format("{}: TRAP answers for one of them", name_of(family)), "it does not"))
    return std::nullopt;
  return ports;
}

std::string text(const Result<ConnectionFacts>& facts) {
  return facts ? fmt::format("options {}, scales {} and {}", facts->options, facts->their_scale,
                             facts->our_scale)
               : facts.error().message;
}

// A client's settings.
struct Manners {
  std::string_view what, timestamps, ecn;
};

constexpr Manners all_manners[] = {
    {"an ordinary client", "1", "2"},
    {"a client with ECN", "1", "1"},
    {"a client without timestamps", "0", "2"},
};

void expect_same_agreement(Scene& scene, const Ports& ports) {
  for (const Manners& manners : all_manners) {
    const std::string what = fmt::format("{}, {}", name_of(ports.family), manners.what);
    const Host& stranger = scene.host("stranger");
    scene.done(stranger.set("ipv4/tcp_timestamps", manners.timestamps), what + ": timestamps");
    scene.done(stranger.set("ipv4/tcp_ecn", manners.ecn), what + ": ECN");
    const auto served = connection_at(scene, ports.family, ports.served, ports.served_listener);
    const auto plain = connection_at(scene, ports.family, ports.plain, ports.plain_listener);
    scene.check(served && plain && served->agrees_with(*plain),
                what + ": the stack has agreed on the same as without TRAP",
                fmt::format("{}; {} without", text(served), text(plain)));
  }
}

Result<void> lose_bare_acks(Scene& scene, std::string_view rule) {
  Command nft = scene.host("stranger").command({"nft", "-f", "-"});
  nft.input = fmt::format("table inet loss {{\n}}\ndelete table inet loss\ntable inet loss {{\n"
                          "chain out {{ type filter hook output priority 0;\n{}\n}}\n}}\n",
                          rule);
  auto done = run_checked(nft, std::chrono::seconds{5});
  if (!done)
    return done.error();
  return {};
}

// Behind the default routes the way is narrower than the link, by `advmss` and by `mtu`.
void expect_same_segments(Scene& scene, const std::vector<Ports>& all) {
  const HostAddresses& trap = addresses_of("trap");
  const auto routes = [&](std::string_view ipv4, std::string_view ipv6) {
    return scene.host("trap").ip(fmt::format("route replace default via {} {}\n"
                                             "route replace ::/0 via {} {}\n",
                                             trap.ipv4_gateway, ipv4, trap.ipv6_gateway, ipv6));
  };
  scene.done(routes("advmss 1300", "mtu 1400"), "the routes to clients become narrow");
  for (const Ports& ports : all) {
    const auto plain = connection_at(scene, ports.family, ports.plain, ports.plain_listener);
    Result<ConnectionFacts> served = Error{"no connection"};
    // Two in a row: a connection that reopens one in TIME_WAIT is answered by the stack.
    const auto is_same = [&] {
      for (int i = 0; i < 2; i++) {
        served = connection_at(scene, ports.family, ports.served, ports.served_listener);
        if (!plain || !served || served->segment_bytes != plain->segment_bytes)
          return false;
      }
      return true;
    };
    const bool same = becomes(is_same);
    scene.check(
        same && plain->segment_bytes < 1400,
        fmt::format("{}: clients send as small segments as without TRAP", name_of(ports.family)),
        fmt::format("of {} bytes, {} without", served ? served->segment_bytes : 0,
                    plain ? plain->segment_bytes : 0));
  }
  scene.done(routes("", ""), "and wide again");
}

// The first segment that arrives behind the SYN has data and a FIN.
void expect_last_word(Scene& scene, const Ports& ports) {
  const std::string what = fmt::format("{}, data and FIN at once", name_of(ports.family));
  scene.done(lose_bare_acks(scene, "tcp flags & (fin|syn|psh|ack) == ack drop"),
             what + ": bare ACKs are lost");
  const auto client = connect_from(scene.host("stranger"),
                                   addresses_of("trap").address(ports.family), ports.served);
  const auto sent = client ? send_last(*client, "word") : client.error();
  const auto accepted = sent ? accept_from(ports.served_listener) : sent.error();
  const auto heard = accepted ? receive(*accepted, 4) : accepted.error();
  scene.check(heard && *heard == "word", what + ": the client is heard",
              heard ? *heard : heard.error().message);
  scene.done(lose_bare_acks(scene, ""), what + ": no more");
}

// The least of some; 0 if a client cannot connect.
std::uint32_t least_of_some(Scene& scene, Family family, int port, const Fd& listener) {
  std::uint32_t least = UINT32_MAX;
  for (int i = 0; i < tries; i++) {
    const auto facts = connection_at(scene, family, port, listener);
    least = std::min(least, facts ? facts->least_round_trip_us : 0);
  }
  return least;
}

void expect_same_round_trip(Scene& scene, const Ports& ports) {
  const std::uint32_t served =
      least_of_some(scene, ports.family, ports.served, ports.served_listener);
  const std::uint32_t plain = least_of_some(scene, ports.family, ports.plain, ports.plain_listener);
  scene.check(plain >= 100'000 && served >= plain * 9 / 10 && served <= plain * 11 / 10,
              fmt::format("{}: the stack measures the same round trip as without TRAP",
                          name_of(ports.family)),
              fmt::format("{} us, {} us without", served, plain));
}

} // namespace

void expect_equality(Scene& scene, int served_port, int plain_port) {
  std::vector<Ports> all;
  for (const Family family : families) {
    auto ports = listen_at_both(scene, family, served_port, plain_port);
    if (!ports)
      return;
    all.push_back(std::move(*ports));
  }
  for (const Ports& ports : all) {
    expect_same_agreement(scene, ports);
    scene.done(scene.host("stranger").set("ipv4/tcp_timestamps", "1"), "clients as usual");
    expect_last_word(scene, ports);
  }
  expect_same_segments(scene, all);
  const auto tunnel =
      Tunnel::dig({&scene.host("stranger"), "far0"}, {&scene.host("router"), "far0"}, one_way);
  if (!scene.check(static_cast<bool>(tunnel), "there is a way of 100 ms",
                   tunnel ? "" : tunnel.error().message) ||
      !scene.done(lead_through_tunnel(scene), "it leads to the TRAP host"))
    return;
  for (const Ports& ports : all)
    expect_same_round_trip(scene, ports);
}

} // namespace trap::lab
