// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "lab/scenarios/guarding/guard_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/answer_watch.h"
#include "lab/traffic/forger.h"
#include "protocol/consent.h"
#include "runtime/packet/handshake.h"

namespace trap::lab {
namespace {

constexpr int ticket_bits = 96, mac_bits = 64;
constexpr std::size_t ticket_at = 4, announced_client_at = 20; // in the TCP option

// The guard's memory of clients.
struct Memory {
  std::uint64_t flows = 0, announced = 0;
  bool operator==(const Memory&) const = default;
};

Memory memory_of(Scene& scene) {
  const auto status = scene.trap().guard().status();
  scene.check(static_cast<bool>(status), "the guard says what it remembers",
              status ? "" : status.error().message);
  return status ? Memory{status->flows, status->announced} : Memory{};
}

void expect_memory(Scene& scene, const Memory& before, std::string_view what) {
  const Memory now = memory_of(scene);
  scene.check(now == before, fmt::format("{}: the guard remembers nothing of it", what),
              fmt::format("{} flows and {} announced, before {} and {}", now.flows, now.announced,
                          before.flows, before.announced));
}

Segment with_option(Segment segment, const Bytes& option) {
  segment.options = option;
  return segment;
}

trap_address address_of(std::string_view host, Family family) {
  return address_from(addresses_of(host).address(family));
}

// Each in its own bit; those of the epoch and the expiry may show before the MAC does.
void flip_every_bit(Scene& scene, const Forger& forger, Family family) {
  const std::string what =
      fmt::format("{}, a ticket with each of its {} bits flipped", name_of(family), ticket_bits);
  const Bytes valid = forger.ticket({.client = address_of("stranger", family)});
  std::vector<Segment> segments;
  for (std::size_t bit = 0; bit < ticket_bits; bit++) {
    segments.push_back(with_option(syn_from("stranger", family), valid));
    segments.back().options[ticket_at + bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
  }
  GuardWatch watch = GuardWatch::begin(scene);
  send_to_service(scene, segments, what);
  const Counters moved = watch.wait_for(ticket_bits);
  const std::uint64_t epoch = count_of(moved, "drop-ticket-epoch"),
                      expired = count_of(moved, "drop-ticket-expired"),
                      mac = count_of(moved, "drop-ticket-mac");
  scene.check(epoch == 7 && epoch + expired + mac == ticket_bits && mac > mac_bits &&
                  moved.size() <= 3,
              what + ": none passes", text_of(moved));
  scene.check(watch.stack_moved().empty(), what + ": the stack notices nothing",
              text_of(watch.stack_moved()));
}

void wrong_tickets(Scene& scene, const Forger& forger, const Forger& of_another_guard,
                   Family family) {
  const trap_address stranger = address_of("stranger", family);
  const auto expect = [&](const Bytes& ticket, const std::string& verdict, std::string_view what) {
    expect_verdict(scene, {with_option(syn_from("stranger", family), ticket)}, verdict,
                   fmt::format("{}, a ticket {}", name_of(family), what));
  };
  expect(forger.ticket({.client = address_of("client", family)}), "drop-ticket-mac",
         "of another client");
  expect(forger.ticket({.client = stranger, .port = 443}), "drop-ticket-mac",
         "for another service");
  expect(of_another_guard.ticket({.client = stranger}), "drop-ticket-mac", "of another guard");
  expect(forger.ticket({.client = stranger, .lifetime_s = -4}), "drop-ticket-expired",
         "that expired four seconds ago");
  expect(forger.ticket({.client = stranger, .lifetime_s = -4000}), "drop-ticket-expired",
         "that expired an hour ago");
  expect(forger.ticket({.client = stranger, .lifetime_s = 40'000}), "drop-ticket-expired",
         "with a longer lifetime than is allowed");
  expect(forger.ticket({.client = stranger, .epochs_ahead = -2}), "drop-ticket-epoch",
         "of a revoked epoch");
  expect(forger.ticket({.client = stranger, .epochs_ahead = 2}), "drop-ticket-epoch",
         "of an epoch to come");
}

// What the service's kernel answers to a right ticket: its own options, CONSENT, right checksums.
void expect_consent(Scene& scene, const AnswerWatch& answers, const Bytes& ticket,
                    const std::string& what) {
  const auto answer = answers.next();
  if (!scene.check(answer.has_value(), what + ": is answered", "it is not"))
    return;
  trap_ticket presented{};
  std::copy_n(ticket.begin() + ticket_at, sizeof presented,
              reinterpret_cast<std::uint8_t*>(&presented));
  trap_consent_block consent{};
  const __u32 bytes = trap_put_consent(&consent, trap_consent(&presented), 0);
  const auto segment = read_packet(answer->data(), answer->size());
  scene.check(segment && segment->option == TRAP_CONSENT && segment->syn_options.mss &&
                  std::equal(consent.bytes, consent.bytes + bytes, answer->end() - bytes),
              what + ": the answer ends with the guard's consent",
              fmt::format("{:02x}", fmt::join(*answer, "")));
  scene.check(has_right_checksums(*answer), what + ": and its checksums are right",
              fmt::format("{:02x}", fmt::join(*answer, "")));
}

// Every one of them beside a valid ticket that passes, so that it is its one fault that is found.
void tickets(Scene& scene) {
  const auto forger = Forger::with_key_of("service"), another = Forger::with_key_of("service-2");
  if (!scene.check(forger && another, "two guards' keys are stolen",
                   forger ? "" : forger.error().message))
    return;
  const Memory before = memory_of(scene);
  for (const Family family : families) {
    wrong_tickets(scene, *forger, *another, family);
    flip_every_bit(scene, *forger, family);
  }
  expect_memory(scene, before, "after all of them");
  // Otherwise the checksum of what leaves a veth is left to its other end.
  const auto whole =
      run_checked(scene.host("service").command({"ethtool", "-K", "eth0", "tx", "off"}),
                  std::chrono::seconds{5});
  const auto answers = AnswerWatch::start(scene.host("router"), "service");
  if (!scene.check(static_cast<bool>(whole), "the service's host makes checksums itself",
                   whole ? "" : whole.error().message) ||
      !scene.check(static_cast<bool>(answers), "its answers are watched",
                   answers ? "" : answers.error().message))
    return;
  for (const Family family : families) {
    GuardWatch watch = GuardWatch::begin(scene);
    const std::string what = fmt::format("{}, the ticket without a fault", name_of(family));
    const Bytes ticket = forger->ticket({.client = address_of("stranger", family)});
    send_to_service(scene, {with_option(syn_from("stranger", family), ticket)}, what);
    expect_consent(scene, *answers, ticket, what);
    const Counters moved = watch.wait_for(1);
    scene.check(count_of(moved, "pass-ticket") == 1 &&
                    count_of(watch.stack_moved(), "Tcp.InSegs") > 0,
                what + ": reaches the service", text_of(moved));
  }
}

Segment announcement_of(const Bytes& option, Family family, std::string_view from = "trap") {
  Segment rst = with_option(syn_from(from, family), option);
  rst.flags = tcp_rst;
  return rst;
}

void wrong_announcements(Scene& scene, const Forger& forger, const Forger& of_another_guard,
                         Family family) {
  const trap_address stranger = address_of("stranger", family);
  const auto expect = [&](const Segment& rst, const std::string& verdict, std::string_view what) {
    expect_verdict(scene, {rst}, verdict,
                   fmt::format("{}, an announcement {}", name_of(family), what));
  };
  const Bytes valid = forger.announcement({.client = stranger});
  Bytes of_a_neighbour = valid;
  of_a_neighbour[announced_client_at + 3] ^= 1;
  Bytes shortened{valid.begin(), valid.end() - 1};
  shortened[1]--;
  expect(announcement_of(valid, family, "attacker"), "drop-no-flow",
         "from another host than a TRAP server");
  expect(announcement_of(of_another_guard.announcement({.client = stranger}), family),
         "drop-announce-mac", "made for another guard");
  expect(announcement_of(forger.announcement({.client = stranger, .port = 443}), family),
         "drop-announce-mac", "for another service");
  expect(announcement_of(of_a_neighbour, family), "drop-announce-mac",
         "with another client's address put in");
  expect(announcement_of(forger.announcement({.client = stranger, .scope = 24}), family),
         "drop-announce-malformed", "of a wider scope");
  expect(announcement_of(forger.announcement({.client = stranger, .issued_ahead_s = -700}), family),
         "drop-announce-time", "that is over");
  expect(announcement_of(forger.announcement({.client = stranger, .issued_ahead_s = 120}), family),
         "drop-announce-time", "of two minutes to come");
  expect(announcement_of(forger.announcement({.client = stranger, .lifetime_s = 5000}), family),
         "drop-announce-time", "for too long");
  expect(announcement_of(shortened, family), "drop-announce-malformed", "that is a byte short");
}

// Sends the same frame until its time is over. Returns false if that never comes.
bool repeat_until_over(Scene& scene, const Segment& rst, std::string_view what) {
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{15};
       std::chrono::steady_clock::now() < until;) {
    GuardWatch watch = GuardWatch::begin(scene);
    send_to_service(scene, {rst}, what);
    const Counters moved = watch.wait_for(1);
    if (moved == Counters{{"drop-announce-time", 1}})
      return true;
    if (moved != Counters{{"announce-accepted", 1}} || !sleep_for(std::chrono::milliseconds{200}))
      return scene.check(false, fmt::format("{}: is taken until it is over", what), text_of(moved));
  }
  return false;
}

// The lifetime of an announcement counts from its issue: a replay wins nothing.
void replay(Scene& scene, const Forger& forger, Family family) {
  const std::string what = fmt::format("{}, a replayed announcement", name_of(family));
  const Segment rst = announcement_of(
      forger.announcement(
          {.client = address_of("stranger", family), .issued_ahead_s = -1, .lifetime_s = 5}),
      family);
  const std::string url = fmt::format(
      "http://{}/small.txt", endpoint(addresses_of("service").address(family), service_port));
  GuardWatch watch = GuardWatch::begin(scene);
  send_to_service(scene, {rst}, what);
  const Counters moved = watch.wait_for(1);
  scene.check(moved == Counters{{"announce-accepted", 1}}, what + ": is taken the first time",
              text_of(moved));
  const Visit admitted = scene.visit("stranger", url);
  scene.check(admitted.response.complete() && count_of(admitted.moved.guard, "pass-announced") > 0,
              what + ": admits its client", text_of(admitted.moved.guard));
  scene.check(repeat_until_over(scene, rst, what), what + ": is over in spite of replays",
              "it never is");
  expect_verdict(scene, {syn_from("stranger", family)}, "drop-uninvited",
                 what + ": its client is as uninvited as before");
  const Memory now = memory_of(scene);
  scene.check(now.announced == 0, what + ": no client is announced any more",
              fmt::format("{} are", now.announced));
}

void announcements(Scene& scene) {
  const auto forger = Forger::with_key_of("service"), another = Forger::with_key_of("service-2");
  if (!scene.check(forger && another, "two guards' keys are stolen",
                   forger ? "" : forger.error().message))
    return;
  const Memory before = memory_of(scene);
  for (const Family family : families)
    wrong_announcements(scene, *forger, *another, family);
  expect_memory(scene, before, "after all of them");
  for (const Family family : families)
    replay(scene, *forger, family);
}

const Registration register_tickets{{
    .name = "tickets",
    .goal = "stolen, altered and outdated tickets open nothing",
    .plan = quiet_plan(),
    .play = tickets,
}};

const Registration register_announcements{{
    .name = "announcements",
    .goal = "forged, outdated and repeated announcements admit no client",
    .plan = quiet_plan(),
    .play = announcements,
}};

} // namespace
} // namespace trap::lab
