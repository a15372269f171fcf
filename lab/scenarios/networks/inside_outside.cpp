// SPDX-License-Identifier: Apache-2.0
// Addresses that differ inside and outside: clients reach the service's host through 1:1
// translation, the server by its own address, and the network between them is particular about
// sources.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds nft_deadline{5000}, until_noticed{9000};
constexpr std::string_view outside_ipv4 = "198.51.100.84", outside_ipv6 = "2001:db8:51::84";
constexpr std::string_view announcing_ipv4 = "203.0.113.12", announcing_ipv6 = "2001:db8:113::12";

std::string outside(Family family) {
  return std::string{family == Family::ipv4 ? outside_ipv4 : outside_ipv6};
}

// `more`: of the server's keys; `inside`: whether it is told the service host's own address.
std::string server_keys(std::string_view more, bool inside) {
  const HostAddresses& trap = addresses_of("trap");
  std::string text =
      fmt::format("xdp_mode = \"native\"\nmaster_key_file = \"{}\"\nannounce_check_s = 1\n"
                  "health_source = [\"{}\", \"{}\"]\n{}[[service]]\nname = \"web\"\n"
                  "addresses = [\"{}\", \"{}\"]\nunaware = \"reset\"\n"
                  "health_interval_ms = 200\nhealth_timeout_ms = 200\n",
                  master_key_file(), inner_ipv4, inner_ipv6, more,
                  endpoint(trap.ipv4, service_port), endpoint(trap.ipv6, service_port));
  for (const Family family : families) {
    text += fmt::format("  [[service.backend]]\n  address = \"{}\"\n  guard = \"{}\"\n",
                        endpoint(outside(family), service_port), guard_of("service"));
    if (inside)
      text += fmt::format("  guard_address = \"{}\"\n", addresses_of("service").address(family));
  }
  return text;
}

nlohmann::json status_of_server(Scene& scene) {
  const auto asked = scene.trap().server().control({"status", "server", "--json"});
  return asked ? nlohmann::json::parse(asked->output, nullptr, false) : nlohmann::json();
}

// Both backends are up, and their guard hears announcements, or does not, which is a problem.
bool backends_are(const nlohmann::json& status, const std::string& announcements) {
  const std::string text = status.is_discarded() ? "" : status.dump();
  const auto times = [&](const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
      count++;
    return count;
  };
  return times(fmt::format("\"announcements\":\"{}\"", announcements)) == 2 &&
         times("\"health\":\"up\"") == 2 &&
         times("does not hear announcements from") == (announcements == "unheard" ? 2 : 0);
}

void expect_backends(Scene& scene, const std::string& announcements, const std::string& what) {
  nlohmann::json status;
  const bool as_expected = becomes(
      [&] {
        status = status_of_server(scene);
        return backends_are(status, announcements);
      },
      until_noticed);
  scene.check(as_expected, fmt::format("{}: announcements are {}", what, announcements),
              status.is_discarded() ? "no status" : status.dump());
}

void reconfigure(Scene& scene, std::string_view more, bool inside, const std::string& what) {
  Daemon& server = scene.trap().server();
  scene.done(server.configure(server_keys(more, inside)), what + ": is configured");
  scene.done(server.reload(), what + ": the server knows it");
}

void load_rules(Scene& scene, std::string_view name, const std::string& rules,
                const std::string& what) {
  Command nft = scene.host("router").command({"nft", "-f", "-"});
  nft.input = fmt::format(
      "table inet {0} {{\n}}\ndelete table inet {0}\ntable inet {0} {{\n{1}}}\n", name, rules);
  const auto done = run_checked(nft, nft_deadline);
  scene.check(static_cast<bool>(done), what, done ? "" : done.error().message);
}

void translate_one_to_one(Scene& scene) {
  const HostAddresses& service = addresses_of("service");
  load_rules(scene, "one_to_one",
             fmt::format("chain inwards {{\ntype nat hook prerouting priority dstnat;\n"
                         "ip daddr {} dnat ip to {}\nip6 daddr {} dnat ip6 to {}\n}}\n",
                         outside_ipv4, service.ipv4, outside_ipv6, service.ipv6),
             "the router translates the service's address");
}

// As clouds do: a host may send from the addresses that the network knows it by.
void refuse_foreign_sources(Scene& scene) {
  const HostAddresses& trap = addresses_of("trap");
  load_rules(scene, "sources",
             fmt::format("chain forward {{\ntype filter hook forward priority filter;\n"
                         "oif service ip saddr {} drop\noif service ip6 saddr {} drop\n}}\n",
                         trap.ipv4, trap.ipv6),
             "the network drops what comes from the public address");
}

void expect_whole_handover(Scene& scene, const std::string& what) {
  for (const Family family : families) {
    scene.forget_redirects();
    const Visit visit = scene.visit_service(family, "/small.txt");
    scene.expect_handed_over(visit, fmt::format("{}, {}", name_of(family), what));
  }
}

// Redirected without a module: a later SYN without a ticket gets in by the announcement alone.
void expect_announced(Scene& scene, const std::string& what) {
  for (const Family family : families) {
    scene.visit("stranger", Deployment::public_url(family, "/small.txt"), milliseconds{1000});
    const auto before = scene.trap().guard().counters();
    const auto response =
        fetch(scene.host("stranger"),
              {fmt::format("http://{}/small.txt", endpoint(outside(family), service_port))});
    const auto after = scene.trap().guard().counters();
    scene.check(
        response && response->complete() && before && after &&
            count_of(difference(*before, *after), "pass-announced") > 0,
        fmt::format("{}, {}: an announced client gets in without a ticket", name_of(family), what),
        response ? response->text() : response.error().message);
  }
}

std::string with_announcing_sources(std::string guard) {
  const std::string key = "trap_servers = [";
  return guard.insert(guard.find(key) + key.size(),
                      fmt::format("\"{}\", \"{}\", ", announcing_ipv4, announcing_ipv6));
}

void inside_outside(Scene& scene) {
  translate_one_to_one(scene);
  reconfigure(scene, "", false, "the address that clients are given");
  expect_backends(scene, "unheard", "sent to the translated address");
  expect_whole_handover(scene, "by its ticket alone");

  reconfigure(scene, "", true, "guard_address");
  expect_backends(scene, "heard", "sent to guard_address");
  expect_announced(scene, "by guard_address");

  refuse_foreign_sources(scene);
  scene.done(scene.host("trap").ip(fmt::format("address add {}/32 dev eth0\n"
                                               "address add {}/128 dev eth0 nodad\n",
                                               announcing_ipv4, announcing_ipv6)),
             "the server's host has one more address");
  scene.done(scene.trap().guard().configure(
                 with_announcing_sources(guard_text(scene.trap().plan(), "service"))),
             "the guard is told it");
  scene.done(scene.trap().guard().reload(), "and knows it");
  reconfigure(scene,
              fmt::format("announce_source = [\"{}\", \"{}\"]\n", announcing_ipv4, announcing_ipv6),
              true, "announce_source");
  expect_backends(scene, "heard", "from announce_source, the only one that the network takes");
  expect_whole_handover(scene, "with announce_source");
}

const Registration register_inside_outside{{
    .name = "inside-outside",
    .goal = "addresses that differ inside and outside, and announcements that are not heard",
    .plan = {.guards_trust = true, .guard_keys = "clock_skew_s = 1\n"},
    .play = inside_outside,
}};

} // namespace
} // namespace trap::lab
