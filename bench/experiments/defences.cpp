// SPDX-License-Identifier: Apache-2.0
#include "bench/experiments/defences.h"

#include <algorithm>

#include <fmt/format.h>

#include "bench/comparison/responders.h"
#include "lab/deployment/plain_defences.h"

namespace trap::bench {
namespace {

using lab::Counters;

// The service on "plain", without anything that an earlier defence set.
Result<Held> start_plain(const Testbed& testbed, std::string_view cookies) {
  const lab::Host& plain = testbed.host("plain");
  if (auto set = plain.set("ipv4/tcp_syncookies", cookies); !set)
    return set.error();
  if (auto set = plain.set("ipv4/tcp_timestamps", "1"); !set)
    return set.error();
  return testbed.start_plain();
}

// SYNPROXY completes the handshake with the listener in the client's name. Recent kernels refuse
// its ACK by the timestamp it echoes (TcpExtTSEcrRejected). A client's request makes up for that at
// once, but where the server speaks first nothing happens for a second, until the listener repeats
// its SYN-ACK. The kernel checks the ACK of a SYN cookie less closely.
std::string_view cookies_behind_synproxy(Serves serves) {
  return serves == Serves::greeting ? "2" : "0";
}

Result<Held> put_up_synproxy(const Testbed& testbed) {
  const lab::Host& plain = testbed.host("plain");
  auto service = start_plain(testbed, cookies_behind_synproxy(testbed.serves()));
  if (!service)
    return service.error();
  const auto rules = lab::put_synproxy_before(plain);
  if (!rules)
    return rules.error();
  using Both = std::pair<Held, Held>; // the rules are flushed before the service stops
  return Held{std::make_shared<Both>(std::move(*service), *rules)};
}

// One line if `counter` moved less than it must.
std::string at_least(const Counters& moved, std::string_view counter, std::uint64_t wanted) {
  const std::uint64_t counted = lab::count_of(moved, counter);
  return counted >= wanted ? "" : fmt::format("{} is {}, not {} or more", counter, counted, wanted);
}

std::string first_of(std::initializer_list<std::string> faults) {
  for (const std::string& fault : faults)
    if (!fault.empty())
      return fault;
  return "";
}

// A flood has thousands of SYNs: with fewer answers than this it was not answered.
constexpr std::uint64_t of_a_flood = 1000;

// The flood went another way than to the listener's SYN cookies.
std::string few_cookies(const Counters& moved, std::uint64_t most) {
  const std::uint64_t cookies = lab::count_of(moved, "stack.TcpExt.SyncookiesSent");
  return cookies <= most ? "" : fmt::format("the stack sent {} SYN cookies", cookies);
}

std::uint64_t answers_least(const Work& work) {
  return work.connections + (work.flooded ? of_a_flood : 0);
}

// A few connections overlap, and one uses the redirect that another has just learnt.
std::string fault_of_first(const Counters& moved, const Work& work) {
  const std::uint64_t firsts = work.connections - work.connections / 100;
  return first_of(
      {at_least(moved, "server.reply-syn-ack", firsts + (work.flooded ? of_a_flood : 0)),
       at_least(moved, "server.reply-redirect", firsts),
       at_least(moved, "client.reply-reissued-syn", firsts),
       at_least(moved, "guard.pass-ticket", work.connections)});
}

std::string fault_of_later(const Counters& moved, const Work& work) {
  return first_of({at_least(moved, "client.pass-syn-ticketed", work.connections),
                   at_least(moved, "guard.pass-ticket", work.connections)});
}

// The first connections of a series may be without a redirect yet.
std::string fault_of_known(const Counters& moved, const Work& work) {
  constexpr std::uint64_t first_ones = 10;
  const std::uint64_t known = work.connections - std::min(work.connections, first_ones);
  return first_of({at_least(moved, "client.pass-syn-ticketed", known),
                   at_least(moved, "guard.pass-ticket", work.connections)});
}

std::string fault_of_guard(const Counters& moved, const Work& work) {
  return first_of(
      {fault_of_known(moved, work), at_least(moved, "guard.drop-uninvited", of_a_flood)});
}

std::string fault_of_served(const Counters& moved, const Work& work) {
  return first_of({at_least(moved, "served.reply-syn-ack", answers_least(work)),
                   at_least(moved, "served.pass-cookie", work.connections),
                   few_cookies(moved, work.connections + of_a_flood)});
}

std::string fault_of_cookies(const Counters& moved, const Work& work) {
  return first_of({at_least(moved, "stack.TcpExt.SyncookiesSent", answers_least(work)),
                   at_least(moved, "stack.TcpExt.SyncookiesRecv", work.connections)});
}

std::string fault_of_synproxy(const Counters& moved, const Work& work) {
  return first_of({at_least(moved, "synproxy.syn_received", answers_least(work)),
                   at_least(moved, "synproxy.cookie_valid", work.connections),
                   few_cookies(moved, work.connections + of_a_flood)});
}

// The service behind TRAP is always defended.
Result<Held> nothing_more(Testbed&) {
  return Held{};
}

} // namespace

std::string Defence::url(lab::Family family, std::string_view path) const {
  return fmt::format("http://{}{}", lab::endpoint(address(family), lab::service_port), path);
}

void Defence::prepare(const Testbed& testbed) const {
  if (forgets)
    testbed.redirects().forget();
}

Defence undefended(const std::string& name) {
  return {name, "stranger", "plain", [](Testbed& testbed) { return start_plain(testbed, "0"); },
          [](const Counters& moved, const Work&) { return few_cookies(moved, 0); }};
}

Defence trap_at_first(const std::string& name) {
  return {name, "client", "trap", nothing_more, fault_of_first, true};
}

Defence trap_later(const std::string& name) {
  return {name, "client", "trap", nothing_more, fault_of_later};
}

Defence trap_served(const std::string& name) {
  return {
      name,
      "stranger",
      "plain",
      [](Testbed& testbed) { return testbed.start_trap_on_plain(); },
      fault_of_served,
      false,
      {},
      "on the service's own host; the program that the lab needs at the router's end of the veth "
      "takes segmentation offload from the service, while a real interface keeps it"};
}

Defence kernel_cookies(const std::string& name) {
  return {name, "stranger", "plain", [](Testbed& testbed) { return start_plain(testbed, "2"); },
          fault_of_cookies};
}

Defence nft_synproxy(const std::string& name) {
  return {name,
          "stranger",
          "plain",
          put_up_synproxy,
          fault_of_synproxy,
          false,
          std::string{nft_synproxy_why_not_ipv6()},
          "on the service's host; where the server speaks first, the listener behind it answers "
          "with SYN cookies, because it would refuse the timestamp of SYNPROXY's ACK"};
}

Defence trap_known(const std::string& name) {
  return {name, "client", "trap", nothing_more, fault_of_known};
}

Defence guard_flooded(const std::string& name) {
  return {name, "client", "trap", nothing_more, fault_of_guard, false, {}, {}, "service"};
}

std::vector<Defence> defences_under_rising_attack() {
  return {undefended("no-defence"),           kernel_cookies("kernel-cookies"),
          nft_synproxy("nft-synproxy"),       trap_served("trap-serve"),
          trap_at_first("trap-new"),          trap_known("trap-known"),
          guard_flooded("trap-guard-flooded")};
}

std::vector<Defence> defences_under_attack() {
  return {trap_at_first("trap"), trap_served("trap-serve"), undefended("no-defence"),
          kernel_cookies("kernel-cookies"), nft_synproxy("nft-synproxy")};
}

} // namespace trap::bench
