// SPDX-License-Identifier: Apache-2.0
// Filters and translators between clients and everybody else, as networks have them: from the
// client's host and from one without the module, each connect ends as it does without the module,
// or in the service, and later ones at once.
#include <fmt/format.h>

#include "lab/programs/dial.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds nft_deadline{5000};
constexpr int proxy_port = 8080;
constexpr milliseconds at_once{900}; // before a stack repeats a SYN
constexpr milliseconds two_more_syns{3900}, three_more_syns{7900};
constexpr int patience_ms = 9000, patience_in_vain_ms = 1500; // with connect(), and with recv()
// A service that resets, where nothing says that a redirect will come (docs/adr/0048).
constexpr int hasty_ms = 5000, connects_in_vain = 3;
constexpr milliseconds a_minute{75'000}; // the last SYN before it left up to 34 s ago

// What a network drops in silence, so that a service that resets cannot be reached through it.
enum class Silence { none, about_handshakes, about_backends };

// What nftables does on the router to packets of clients (`out`) and to clients (`in`).
struct Filter {
  std::string_view does;
  std::string_view out{}, in{};
  milliseconds first_takes_longer = at_once; // than without the module, if nothing is learnt yet
  std::string_view translation{};
  std::string_view interception{};
  Silence silence = Silence::none;
};

constexpr Filter filters[] = {
    {"does nothing", "", ""},
    {"clamps the MSS", "tcp flags syn tcp option maxseg size set 536",
     "tcp flags syn tcp option maxseg size set 536"},
    {"takes options out",
     "tcp flags syn reset tcp option sack-perm\ntcp flags syn reset tcp option timestamp",
     "tcp flags syn reset tcp option sack-perm\ntcp flags syn reset tcp option timestamp"},
    {"lowers the TTL", "ip ttl set 9\nip6 hoplimit set 9", "ip ttl set 9\nip6 hoplimit set 9"},
    {.does = "drops ACKs with TRAP's option",
     .out = "tcp flags & (fin|syn|rst|ack) == ack tcp option 86 exists drop",
     .first_takes_longer = two_more_syns,
     .silence = Silence::about_handshakes},
    {.does = "drops RSTs with TRAP's option",
     .in = "tcp flags rst tcp option 86 exists drop",
     .first_takes_longer = two_more_syns,
     .silence = Silence::about_handshakes},
    {.does = "drops RSTs",
     .in = "tcp flags rst drop",
     .first_takes_longer = two_more_syns,
     .silence = Silence::about_handshakes},
    {.does = "drops whatever of clients has TRAP's option",
     .out = "tcp option 86 exists drop",
     .first_takes_longer = two_more_syns,
     .silence = Silence::about_handshakes},
    {.does = "drops SYNs with TRAP's option",
     .out = "tcp flags & (fin|syn|rst|ack) == syn tcp option 86 exists drop",
     .first_takes_longer = three_more_syns,
     .silence = Silence::about_backends},
    {"prohibits SYNs with TRAP's option",
     "tcp flags & (fin|syn|rst|ack) == syn tcp option 86 exists reject with icmpx admin-prohibited",
     ""},
    {"resets SYNs with TRAP's option",
     "tcp flags & (fin|syn|rst|ack) == syn tcp option 86 exists reject with tcp reset", ""},
    {"prohibits what is not for the public address",
     "ip daddr != 203.0.113.10 reject with icmpx admin-prohibited\n"
     "ip6 daddr != 2001:db8:113::10 meta l4proto tcp reject with icmpx admin-prohibited",
     ""},
    {"resets what is not for the public address",
     "ip daddr != 203.0.113.10 meta l4proto tcp reject with tcp reset\n"
     "ip6 daddr != 2001:db8:113::10 meta l4proto tcp reject with tcp reset",
     ""},
    {"lets two SYNs a second through",
     "tcp flags & (fin|syn|rst|ack) == syn limit rate over 2/second burst 1 packets drop", "",
     two_more_syns},
    {"drops repeated SYNs",
     "tcp flags & (fin|syn|rst|ack) == syn ip saddr . ip daddr . tcp sport . tcp sequence @seen4 "
     "drop\n"
     "tcp flags & (fin|syn|rst|ack) == syn ip6 saddr . ip6 daddr . tcp sport . tcp sequence @seen6 "
     "drop\n"
     "tcp flags & (fin|syn|rst|ack) == syn add @seen4 { ip saddr . ip daddr . tcp sport . tcp "
     "sequence }\n"
     "tcp flags & (fin|syn|rst|ack) == syn add @seen6 { ip6 saddr . ip6 daddr . tcp sport . tcp "
     "sequence }",
     ""},
    {"gives each connection another port", "", "", at_once,
     "ip saddr 192.0.2.2 snat ip to 192.0.2.2 fully-random\n"
     "ip saddr 192.0.2.66 snat ip to 192.0.2.66 fully-random\n"
     "ip6 saddr 2001:db8:2::2 snat ip6 to 2001:db8:2::2 fully-random\n"
     "ip6 saddr 2001:db8:66::2 snat ip6 to 2001:db8:66::2 fully-random"},
    // The ticket is for the address that the TRAP server sees.
    {.does = "gives clients another address towards each network",
     .first_takes_longer = three_more_syns,
     .translation = "iifname { client, stranger } masquerade",
     .silence = Silence::about_backends},
    {.does = "is a proxy that answers SYNs itself",
     .interception = "iifname { client, stranger } tcp dport 80 redirect to :8080"},
    {.does = "is one for the public address alone",
     .interception =
         "iifname { client, stranger } ip daddr 203.0.113.10 tcp dport 80 redirect to "
         ":8080\n"
         "iifname { client, stranger } ip6 daddr 2001:db8:113::10 tcp dport 80 redirect "
         "to :8080"},
};

// {0}: out, {1}: in, {2}: translation, {3}: interception.
constexpr std::string_view table = R"(table inet path
delete table inet path
table inet path {{
  set seen4 {{
    typeof ip saddr . ip daddr . tcp sport . tcp sequence
    flags dynamic,timeout
    timeout 60s
  }}
  set seen6 {{
    typeof ip6 saddr . ip6 daddr . tcp sport . tcp sequence
    flags dynamic,timeout
    timeout 60s
  }}
  chain out {{
{0}
  }}
  chain in {{
{1}
  }}
  chain forward {{
    type filter hook forward priority mangle
    iifname {{ client, stranger }} jump out
    oifname {{ client, stranger }} jump in
  }}
  chain translation {{
    type nat hook postrouting priority srcnat
{2}
  }}
  chain interception {{
    type nat hook prerouting priority dstnat
{3}
  }}
}}
)";

bool filter_path(Scene& scene, const Filter& filter) {
  Command nft = scene.host("router").command({"nft", "-f", "-"});
  nft.input = fmt::format(table, filter.out, filter.in, filter.translation, filter.interception);
  const auto done = run_checked(nft, nft_deadline);
  return scene.check(static_cast<bool>(done), fmt::format("the router {}", filter.does),
                     done ? "" : done.error().message);
}

// From the best to the worst.
enum class Fate { served, failed, believes_itself_connected, hangs };

struct End {
  std::string text; // the status line, or what failed
  milliseconds took;

  [[nodiscard]] Fate fate() const {
    if (text.starts_with("HTTP/1.1 200"))
      return Fate::served;
    if (text.ends_with(error_text(EINPROGRESS)))
      return Fate::hangs;
    return text.ends_with(error_text(EAGAIN)) ? Fate::believes_itself_connected : Fate::failed;
  }
};

End end_of(const Host& from, Family family, int connect_ms = patience_ms) {
  const auto begin = std::chrono::steady_clock::now();
  const auto reply = dial(from, addresses_of("trap").address(family), service_port, "/small.txt",
                          {.patience_ms = connect_ms, .hears_for_ms = patience_in_vain_ms});
  const auto took = std::chrono::steady_clock::now() - begin;
  const std::string text = reply ? reply->text : reply.error().message;
  return {text.substr(0, text.find('\r')), std::chrono::duration_cast<milliseconds>(took)};
}

struct Comparison {
  bool is_no_worse = false;
  std::string text;
};

Comparison compare(Scene& scene, Family family, milliseconds longer, int connect_ms = patience_ms) {
  const End without = end_of(scene.host("stranger"), family);
  const auto before = scene.trap().client().counters();
  const End with = end_of(scene.host("client"), family, connect_ms);
  const auto after = scene.trap().client().counters();
  return {with.fate() <= without.fate() && with.took < without.took + longer,
          fmt::format("{} after {} ms; without the module {} after {} ms; client: {}", with.text,
                      with.took.count(), without.text, without.took.count(),
                      before && after ? text_of(difference(*before, *after)) : "no counters")};
}

void expect_no_worse(Scene& scene, Family family, milliseconds longer, std::string_view what,
                     int connect_ms = patience_ms) {
  const Comparison compared = compare(scene, family, longer, connect_ms);
  scene.check(compared.is_no_worse, fmt::format("{}, {}", name_of(family), what), compared.text);
}

// The router, with a proxy, and without a limit of ICMP errors that would be silence.
std::optional<Nginx> prepare_router(Scene& scene) {
  for (const std::string_view limit : {"ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"})
    scene.done(scene.host("router").set(limit, "0"), fmt::format("the router has no {}", limit));
  auto proxy = Nginx::start(scene.host("router"), {proxy_port});
  if (!scene.check(static_cast<bool>(proxy), "a proxy is on the router",
                   proxy ? "" : proxy.error().message))
    return {};
  return std::move(*proxy);
}

// The filter comes while the client knows a redirect, or nothing.
bool begin_with(Scene& scene, const Filter& filter, Family family, bool knows_redirect) {
  scene.forget_redirects();
  if (knows_redirect) {
    if (!filter_path(scene, filters[0]))
      return false;
    end_of(scene.host("client"), family);
  }
  return filter_path(scene, filter);
}

void path_filters(Scene& scene, bool is_served_without) {
  const auto proxy = prepare_router(scene);
  if (!proxy)
    return;
  for (const Filter& filter : filters) {
    if (!is_served_without && filter.silence != Silence::none)
      continue;
    for (const Family family : families) {
      if (!begin_with(scene, filter, family, false))
        return;
      expect_no_worse(scene, family, filter.first_takes_longer, "nothing learnt");
      expect_no_worse(scene, family, at_once, "again");
    }
    for (const Family family : families) {
      if (!begin_with(scene, filter, family, true))
        return;
      expect_no_worse(scene, family, three_more_syns, "with a redirect");
      expect_no_worse(scene, family, at_once, "with a redirect, again");
    }
  }
}

// A few connects find out that none can be led; from then on they end as without the module. A
// redirect that comes with the reset is tried once.
void silent_paths(Scene& scene) {
  for (const Filter& filter : filters) {
    if (filter.silence != Silence::about_handshakes)
      continue;
    for (const Family family : families)
      for (const bool knows_redirect : {false, true}) {
        const std::string_view begin = knows_redirect ? "with a redirect" : "nothing learnt";
        if (!begin_with(scene, filter, family, knows_redirect))
          return;
        Comparison compared;
        for (int i = 0; i < connects_in_vain && !compared.is_no_worse; i++)
          compared = compare(scene, family, three_more_syns, hasty_ms);
        scene.check(
            compared.is_no_worse,
            fmt::format("{}, {}: within {} connects", name_of(family), begin, connects_in_vain),
            compared.text);
        expect_no_worse(scene, family, three_more_syns, "the next");
        expect_no_worse(scene, family, at_once, "later");
      }
  }
}

// Where nothing is heard of the backend, each connect tries for a minute: it may be back.
void silent_backends(Scene& scene) {
  for (const Filter& filter : filters) {
    if (filter.silence != Silence::about_backends)
      continue;
    for (const Family family : families) {
      if (!begin_with(scene, filter, family, false))
        return;
      expect_no_worse(scene, family, a_minute, "within a minute",
                      static_cast<int>(a_minute.count()));
    }
  }
}

const Registration register_path_filters{{
    .name = "path-filters",
    .goal = "filters and translators on the path, a service that serves: no worse than without the "
            "module",
    .plan = relayed_plan(),
    .play = [](Scene& scene) { path_filters(scene, true); },
}};

const Registration register_path_filters_reset{{
    .name = "path-filters-reset",
    .goal = "the same at a service that resets, behind those that answer",
    .play = [](Scene& scene) { path_filters(scene, false); },
}};

const Registration register_path_filters_silent{{
    .name = "path-filters-silent",
    .goal = "a service that resets, behind filters that drop handshakes in silence: reset like "
            "clients without the module",
    .play = silent_paths,
}};

const Registration register_path_filters_patient{{
    .name = "path-filters-patient",
    .goal = "a service that resets, behind filters that drop SYNs to the backend: refused within "
            "a minute",
    .run_class = RunClass::slow,
    .play = silent_backends,
}};

} // namespace
} // namespace trap::lab
