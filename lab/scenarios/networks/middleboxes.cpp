// SPDX-License-Identifier: Apache-2.0
// Networks that damage, lose and reorder what TRAP sends: every connection gets through by some
// way, with few SYNs, and the way that got through is the first that the next connection tries.
#include <fmt/format.h>

#include "lab/network/middlebox.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds timeout{20000}, timeout_with_losses{130000}; // the latter that of a stack
constexpr double at_once_s = 0.5;                                   // no SYN had to be repeated
constexpr int later_connections = 3, connections_with_losses = 10;
constexpr std::uint64_t syns_reordered =
    12; // a stack sends seven to eleven, and the client one with each redirect
// A first connection takes six packets in a row that arrive: at 30%, one in nine. Its stack repeats
// the SYN every second here (tcp_syn_linear_timeouts), so that luck comes within the minute.
constexpr std::string_view syns_a_second_apart = "60";
constexpr std::uint64_t syns_with_losses = 60;

// Behaviour of a middlebox, and how connections get through it.
struct Habit {
  std::string_view does;
  std::uint32_t flags;            // LAB_*
  lab_counter counter = LAB_SYNS; // that goes up when it does it
  // At most, of the first connection to a service; later ones have one.
  std::uint64_t first_syns = 0;
  std::string_view first_verdict{}; // of the client, among others
  std::string_view later_verdict{};
};

struct Passage {
  Visit visit;
  std::uint64_t syns = 0; // that the middlebox saw

  [[nodiscard]] std::string text() const {
    return fmt::format("{}, {} SYNs; client: {}; guard: {}", visit.response.text(), syns,
                       text_of(visit.moved.client), text_of(visit.moved.guard));
  }
};

Passage pass(Scene& scene, const Middlebox& box, Family family, milliseconds deadline = timeout) {
  const std::uint64_t before = box.count(LAB_SYNS);
  Passage passage{scene.visit("client", Deployment::public_url(family, "/small.txt"), deadline)};
  passage.syns = box.count(LAB_SYNS) - before;
  return passage;
}

void expect_through(Scene& scene, const Passage& passage, std::uint64_t most_syns,
                    std::string_view what) {
  scene.check(passage.visit.response.complete() && passage.syns >= 1 && passage.syns <= most_syns,
              fmt::format("{}: gets through with at most {} SYN{}", what, most_syns,
                          most_syns == 1 ? "" : "s"),
              passage.text());
}

void expect_counted(Scene& scene, const Passage& passage, std::string_view verdict,
                    std::string_view what) {
  scene.check(count_of(passage.visit.moved.client, verdict) > 0,
              fmt::format("{}: {}", what, verdict), passage.text());
}

std::optional<Middlebox> install(Scene& scene, const Habit& habit) {
  auto box = Middlebox::install(scene.trap().topology(), habit.flags);
  if (!scene.check(static_cast<bool>(box), fmt::format("a middlebox {}", habit.does),
                   box ? "" : box.error().message))
    return {};
  return std::optional<Middlebox>{std::move(*box)};
}

void expect_habit(Scene& scene, const Middlebox& box, const Habit& habit, Family family) {
  const std::string what = fmt::format("{}, first connection", name_of(family));
  const Passage first = pass(scene, box, family);
  expect_through(scene, first, habit.first_syns, what);
  expect_counted(scene, first, habit.first_verdict, what);
  for (int number = 1; number <= later_connections; number++) {
    const std::string later = fmt::format("{}, later connection {}", name_of(family), number);
    const Passage passage = pass(scene, box, family);
    expect_through(scene, passage, 1, later);
    expect_counted(scene, passage, habit.later_verdict, later);
  }
}

void middlebox(Scene& scene, const Habit& habit) {
  auto box = install(scene, habit);
  if (!box)
    return;
  for (const Family family : families)
    expect_habit(scene, *box, habit, family);
  scene.check(box->count(habit.counter) > 0, fmt::format("it {}", habit.does), "it did not");
}

// The TRAP server serves, and the policy of the client's administrator allows no target.
void expect_refused_redirects_served(Scene& scene) {
  scene.forget_redirects();
  reconfigure_client(scene, "[[trust]]\nservices = [\"203.0.113.10\", \"2001:db8:113::10\"]\n"
                            "targets = [\"198.51.100.250\", \"2001:db8:52::/64\"]\n");
  for (const Family family : families)
    for (const std::string_view verdict : {"reply-syn-again", "pass-offer-declined"}) {
      const std::string what = fmt::format("{}, a target that is refused", name_of(family));
      const Visit visit =
          scene.visit("client", Deployment::public_url(family, "/small.txt"), timeout);
      scene.check(visit.response.complete() && visit.response.connect_s < at_once_s &&
                      count_of(visit.moved.client, verdict) > 0,
                  fmt::format("{}: is served at once, {}", what, verdict),
                  fmt::format("{}; {}", visit.response.text(), text_of(visit.moved.client)));
    }
}

// Robbed of its OFFER, a service that resets can be met in the paper's way only.
void offerless(Scene& scene) {
  trust_the_service(scene);
  auto box = install(scene, {"strips TRAP's option from SYN-ACKs", LAB_STRIPS_SYN_ACK});
  if (!box)
    return;
  for (const Family family : families) {
    const Passage first = pass(scene, *box, family);
    scene.check(!first.visit.response.complete() && first.syns == 1 &&
                    count_of(first.visit.moved.client, "pass-redirect-learnt") == 1,
                fmt::format("{}, first connection: is reset, and the redirect learnt from that",
                            name_of(family)),
                first.text());
    for (int number = 1; number <= later_connections; number++)
      expect_through(scene, pass(scene, *box, family), 1,
                     fmt::format("{}, later connection {}", name_of(family), number));
  }
  scene.check(box->count(LAB_STRIPPED) > 0, "it strips options", "it did not");
}

// One connection after the other: the first asks the TRAP server, the others go straight; in the
// middle redirects are forgotten.
void expect_all_through(Scene& scene, Middlebox& box, std::uint64_t most_syns) {
  for (const Family family : families)
    for (int number = 1; number <= connections_with_losses; number++) {
      if (number == connections_with_losses / 2)
        scene.forget_redirects();
      expect_through(scene, pass(scene, box, family, timeout_with_losses), most_syns,
                     fmt::format("{}, connection {}", name_of(family), number));
    }
}

void losses(Scene& scene, std::uint32_t percent) {
  auto box = Middlebox::install(scene.trap().topology(), 0, percent);
  if (!scene.check(static_cast<bool>(box),
                   fmt::format("a network loses {}% of all packets", percent),
                   box ? "" : box.error().message))
    return;
  scene.done(scene.host("client").set("ipv4/tcp_syn_linear_timeouts", syns_a_second_apart),
             "the client's stack repeats SYNs every second");
  expect_all_through(scene, *box, syns_with_losses);
  scene.check(box->count(LAB_LOST) > 0, "it loses packets", "it did not");
}

// A packet may wait for the next one of its direction, and that for the sender's timeout.
void reordering(Scene& scene) {
  auto box = install(scene, {"swaps packets", LAB_REORDERS});
  if (!box)
    return;
  expect_all_through(scene, *box, syns_reordered);
  scene.check(box->count(LAB_REORDERED) > 0, "it swaps packets", "it did not");
}

// A client does not remember a detour for ever: when the middlebox goes, the second SYN finds
// out, and the next connection is as usual.
void middlebox_goes(Scene& scene) {
  trust_the_service(scene);
  auto box = install(scene, {"drops SYNs with TRAP's option", LAB_DROPS_SYN_OPTIONS});
  if (!box)
    return;
  for (const Family family : families) {
    box->behave(LAB_DROPS_SYN_OPTIONS);
    expect_through(scene, pass(scene, *box, family), 4,
                   fmt::format("{}, first connection", name_of(family)));
    box->behave(0, 0);
    const Passage later = pass(scene, *box, family);
    expect_through(scene, later, 1, fmt::format("{}, after it went", name_of(family)));
    expect_counted(scene, later, "pass-syn-unticketed",
                   fmt::format("{}, after it went", name_of(family)));
  }
}

const Registration register_strip_syn{{
    .name = "strip-syn",
    .goal = "a middlebox strips TRAP's option from SYNs: the announcement admits them",
    .play =
        [](Scene& scene) {
          trust_the_service(scene);
          middlebox(scene, {"strips TRAP's option from SYNs", LAB_STRIPS_SYN, LAB_STRIPPED, 4,
                            "reply-reissued-syn", "pass-syn-ticketed"});
        },
}};

const Registration register_strip_syn_ack{{
    .name = "strip-syn-ack",
    .goal = "a middlebox strips TRAP's option from SYN-ACKs: connections are served",
    .plan = relayed_plan(),
    .play =
        [](Scene& scene) {
          middlebox(scene, {"strips TRAP's option from SYN-ACKs", LAB_STRIPS_SYN_ACK, LAB_STRIPPED,
                            1, "pass-syn-ack-noted", "pass-syn-ack-noted"});
        },
}};

const Registration register_strip_offer{{
    .name = "strip-offer",
    .goal = "the same where the service resets: the paper's way",
    .play = offerless,
}};

const Registration register_strip_rst{{
    .name = "strip-rst",
    .goal = "a middlebox strips TRAP's option from RSTs, or the client refuses redirects: "
            "connections are served",
    .plan = relayed_plan(),
    .play =
        [](Scene& scene) {
          middlebox(scene, {"strips TRAP's option from RSTs", LAB_STRIPS_RST, LAB_STRIPPED, 2,
                            "reply-syn-again", "pass-offer-declined"});
          expect_refused_redirects_served(scene);
        },
}};

const Registration register_drop_syn_options{{
    .name = "drop-syn-options",
    .goal = "a middlebox drops SYNs with TRAP's option: they go without",
    .play =
        [](Scene& scene) {
          trust_the_service(scene);
          middlebox(scene, {"drops SYNs with TRAP's option", LAB_DROPS_SYN_OPTIONS, LAB_DROPPED, 4,
                            "pass-syn-unticketed", "pass-syn-unticketed"});
        },
}};

const Registration register_drop_rst{{
    .name = "drop-rst",
    .goal = "a middlebox drops RSTs: connections are served",
    .plan = relayed_plan(),
    .play =
        [](Scene& scene) {
          middlebox(scene, {"drops RSTs", LAB_DROPS_RST, LAB_DROPPED, 3, "pass-offer-declined",
                            "pass-offer-declined"});
        },
}};

const Registration register_cut_off{{
    .name = "cut-off",
    .goal = "nothing but the public address can be reached: connections are served",
    .plan = relayed_plan(),
    .play =
        [](Scene& scene) {
          middlebox(scene,
                    {"drops packets that are not to or from the public address", LAB_CUTS_OFF,
                     LAB_DROPPED, 6, "reply-syn-again", "pass-offer-declined"});
        },
}};

const Registration register_rewrite_isn{{
    .name = "rewrite-isn",
    .goal = "a middlebox rewrites initial sequence numbers of both sides",
    .play =
        [](Scene& scene) {
          middlebox(scene, {"rewrites sequence numbers", LAB_REWRITES_ISN, LAB_REWRITTEN, 2,
                            "reply-reissued-syn", "pass-syn-ticketed"});
        },
}};

const Registration register_duplicates{{
    .name = "duplicates",
    .goal = "a network doubles every packet",
    .play =
        [](Scene& scene) {
          middlebox(scene, {"doubles every packet", LAB_DUPLICATES, LAB_DUPLICATED, 2,
                            "reply-reissued-syn", "pass-syn-ticketed"});
        },
}};

const Registration register_middlebox_goes{{
    .name = "middlebox-goes",
    .goal = "the memory of a middlebox costs nothing when it is gone",
    .play = middlebox_goes,
}};

const Registration register_reorder{{
    .name = "reorder",
    .goal = "a network swaps packets",
    .play = reordering,
}};

const Registration register_losses_1{{
    .name = "losses-1",
    .goal = "a network loses 1% of all packets",
    .play = [](Scene& scene) { losses(scene, 1); },
}};

const Registration register_losses_10{{
    .name = "losses-10",
    .goal = "a network loses 10% of all packets",
    .play = [](Scene& scene) { losses(scene, 10); },
}};

const Registration register_losses_30{{
    .name = "losses-30",
    .goal = "a network loses 30% of all packets",
    .play = [](Scene& scene) { losses(scene, 30); },
}};

} // namespace
} // namespace trap::lab
