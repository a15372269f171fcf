// SPDX-License-Identifier: Apache-2.0
// A client that is far away: the stack of the TRAP host must see the same as of a client whose SYN
// it answered itself.
#include "lab/scenarios/serving/long_way.h"

#include <algorithm>

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

// A round trip that the stack takes from a handshake.
Result<std::uint32_t> round_trip_us(Scene& scene, Family family, int to, const Fd& listener) {
  const auto client =
      connect_from(scene.host("stranger"), addresses_of("trap").address(family), to);
  const auto accepted = client ? accept_from(listener) : client.error();
  return accepted ? least_round_trip_us(*accepted) : accepted.error();
}

// The least of some; 0 if a client cannot connect.
std::uint32_t least_of_some(Scene& scene, Family family, int to, const Fd& listener) {
  std::uint32_t least = UINT32_MAX;
  for (int i = 0; i < tries; i++) {
    const auto round_trip = round_trip_us(scene, family, to, listener);
    least = std::min(least, round_trip ? *round_trip : 0);
  }
  return least;
}

// True once TRAP's cookies serve a client.
bool is_answered_by_trap(Scene& scene, Family family, int port, const Fd& listener) {
  const auto before = scene.trap().server().counters();
  const auto round_trip = round_trip_us(scene, family, port, listener);
  const auto after = scene.trap().server().counters();
  return before && round_trip && after &&
         count_of(*after, "reply-syn-ack") > count_of(*before, "reply-syn-ack");
}

void expect_same_round_trip(Scene& scene, Family family, int served_port, int plain_port) {
  const std::string name{name_of(family)};
  const std::string_view address = addresses_of("trap").address(family);
  const auto listener = listen_at(scene.host("trap"), address, served_port);
  const auto plain_listener = listen_at(scene.host("trap"), address, plain_port);
  const auto is_answered = [&] {
    return is_answered_by_trap(scene, family, served_port, *listener);
  };
  if (!scene.check(listener && plain_listener, name + ": there are two listeners",
                   "they cannot be made") ||
      !scene.check(becomes(is_answered), name + ": TRAP answers for one of them", "it does not"))
    return;
  const std::uint32_t served = least_of_some(scene, family, served_port, *listener);
  const std::uint32_t plain = least_of_some(scene, family, plain_port, *plain_listener);
  scene.check(plain >= 100'000 && served >= plain * 9 / 10 && served <= plain * 11 / 10,
              name + ": the stack measures the same round trip as without TRAP",
              fmt::format("{} us, {} us without", served, plain));
}

} // namespace

void expect_same_round_trips(Scene& scene, int served_port, int plain_port) {
  const auto tunnel =
      Tunnel::dig({&scene.host("stranger"), "far0"}, {&scene.host("router"), "far0"}, one_way);
  if (!scene.check(static_cast<bool>(tunnel), "there is a way of 100 ms",
                   tunnel ? "" : tunnel.error().message) ||
      !scene.done(lead_through_tunnel(scene), "it leads to the TRAP host"))
    return;
  for (const Family family : families)
    expect_same_round_trip(scene, family, served_port, plain_port);
}

} // namespace trap::lab
