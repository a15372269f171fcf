// SPDX-License-Identifier: Apache-2.0
// Sockets whose SYNs are unlike others, from the client's host and from one without the module: at
// a service that redirects and at an ordinary one, each connect ends as it does without the module,
// or in the service, and as soon. What becomes of it changes nothing for other sockets.
#include <algorithm>

#include <fmt/format.h>

#include "lab/programs/dial.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view fast_open_of_every_listener = "1027";
constexpr milliseconds before_a_repeated_syn{900};
constexpr int patience_ms = 1500; // of connects that have no answer

struct Case {
  std::string_view name;
  Manner manner{};
  std::string_view sysctl{};  // of the connecting host, which is `value` for this case
  bool is_left_alone = false; // the module does not lead it: it ends as without the module
  std::string_view value = "0", usual_value = "1";
};

constexpr Case cases[] = {
    {"an ordinary socket"},
    {"TCP Fast Open", {.fast_open = true}},
    {"TCP Fast Open with a cookie", {.fast_open = true}},
    {"TCP Fast Open by connect()", {.fast_open_connect = true}},
    {"MPTCP", {.multipath = true}},
    {"MPTCP, non-blocking", {.non_blocking = true, .multipath = true}},
    {"TCP-MD5", {.patience_ms = patience_ms, .is_signed = true}, {}, true},
    {"IP options", {.ip_options = true}, {}, true},
    {"a hop limit of 1", {.patience_ms = patience_ms, .short_lived = true}, {}, true},
    {"a mapped address", {.mapped = true}},
    {"IP_PMTUDISC_DONT", {.fragments = true}},
    {"DSCP EF", {.traffic_class = 0xb8}},
    {"IP_BIND_ADDRESS_NO_PORT", {.late_port = true}},
    {"IP_TRANSPARENT", {.transparent = true}},
    {"SO_BINDTODEVICE", {.interface = "eth0"}},
    {"SO_MARK", {.mark = 0x77}},
    {"a bound port", {.source_port = 45000}},
    {"no time stamps", {}, "ipv4/tcp_timestamps"},
    {"no window scaling", {}, "ipv4/tcp_window_scaling"},
    {"no selective acknowledgements", {}, "ipv4/tcp_sack"},
    {"TCP_REPAIR", {.restored = true}},
    {"ECN", {}, "ipv4/tcp_ecn", false, "1", "2"},
};

struct End {
  std::string text; // the status line, or what failed
  milliseconds took;

  [[nodiscard]] bool is_served() const { return text.starts_with("HTTP/1.1 200"); }
};

End end_of(const Host& from, std::string_view address, const Manner& manner) {
  const auto begin = std::chrono::steady_clock::now();
  const auto reply = dial(from, address, service_port, "/small.txt", manner);
  const auto took = std::chrono::steady_clock::now() - begin;
  const std::string text = reply ? reply->text : reply.error().message;
  return {text.substr(0, text.find('\r')), std::chrono::duration_cast<milliseconds>(took)};
}

void expect_no_worse(Scene& scene, const Case& each, std::string_view target, Family family,
                     std::string_view what) {
  const std::string_view address = addresses_of(target).address(family);
  const End without = end_of(scene.host("stranger"), address, each.manner);
  const End with = end_of(scene.host("client"), address, each.manner);
  scene.check((with.is_served() || (each.is_left_alone && with.text == without.text)) &&
                  with.took < without.took + before_a_repeated_syn,
              fmt::format("{}, {}{}: {}", target == "trap" ? "through TRAP" : "an ordinary server",
                          name_of(family), what, each.name),
              fmt::format("{} after {} ms; without the module {} after {} ms", with.text,
                          with.took.count(), without.text, without.took.count()));
}

// Whatever became of the odd socket, and of another one like it: an ordinary socket goes straight
// to the service, with its ticket.
void expect_others_straight(Scene& scene, const Case& each, Family family) {
  const std::string_view address = addresses_of("trap").address(family);
  end_of(scene.host("client"), address, each.manner);
  const auto before = scene.trap().client().counters();
  const End end = end_of(scene.host("client"), address, {});
  const auto after = scene.trap().client().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(
      end.is_served() && count_of(moved, "pass-syn-ticketed") == 1,
      fmt::format("{}, after {}: an ordinary socket goes straight", name_of(family), each.name),
      fmt::format("{}; {}", end.text, text_of(moved)));
}

void set_of_case(Scene& scene, const Case& each, std::string_view value) {
  if (each.sysctl.empty())
    return;
  for (const std::string_view host : {"client", "stranger"})
    scene.done(scene.host(host).set(each.sysctl, value),
               fmt::format("{}: {} is {}", host, each.sysctl, value));
}

// A socket of which no SYN may be led elsewhere, changed or answered in its stead.
void expect_signed_untouched(Scene& scene, Family family) {
  const auto before = scene.trap().client().counters();
  end_of(scene.host("client"), addresses_of("trap").address(family),
         {.patience_ms = patience_ms, .is_signed = true});
  const auto after = scene.trap().client().counters();
  const Counters moved = before && after ? difference(*before, *after) : Counters{};
  scene.check(before && after && count_of(moved, "pass-syn-ticketed") == 0 &&
                  count_of(moved, "pass-syn-unticketed") == 0 &&
                  count_of(moved, "reply-accept") == 0,
              fmt::format("{}: signed SYNs are left alone", name_of(family)), text_of(moved));
}

void odd_sockets(Scene& scene) {
  scene.trap().stop_nginx("service");
  for (const std::string_view host : {"client", "stranger", "service", "plain", "trap"})
    scene.done(scene.host(host).set("ipv4/tcp_fastopen", fast_open_of_every_listener),
               fmt::format("TCP Fast Open is on at {}", host));
  scene.done(scene.trap().start_nginx("service"), "the service listens again");
  const auto plain = Nginx::start(scene.host("plain"), {service_port});
  if (!scene.check(static_cast<bool>(plain), "an ordinary server is there",
                   plain ? "" : plain.error().message))
    return;
  for (const Case& each : cases) {
    set_of_case(scene, each, each.value);
    for (const Family family : families) {
      scene.forget_redirects();
      expect_no_worse(scene, each, "trap", family, ", nothing learnt");
      end_of(scene.host("client"), addresses_of("trap").address(family), {});
      expect_no_worse(scene, each, "trap", family, ", with a redirect");
      expect_others_straight(scene, each, family);
      expect_no_worse(scene, each, "plain", family, "");
    }
    set_of_case(scene, each, each.usual_value);
  }
  for (const Family family : families)
    expect_signed_untouched(scene, family);
}

const Registration register_odd_sockets{{
    .name = "odd-sockets",
    .goal = "sockets whose SYNs are unlike others, at a service that resets: no worse than without "
            "the module",
    .play = odd_sockets,
}};

const Registration register_odd_sockets_served{{
    .name = "odd-sockets-served",
    .goal = "the same at a service that serves",
    .plan = relayed_plan(),
    .play = odd_sockets,
}};

} // namespace
} // namespace trap::lab
