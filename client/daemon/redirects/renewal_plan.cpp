// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/redirects/renewal_plan.h"

#include <algorithm>

namespace trap::client {
namespace {

constexpr std::uint64_t parts_of_lifetime = 4; // the last of which is for renewing

std::pair<Endpoint, Endpoint> key_of(const trap_redirect_key& key) {
  return {Endpoint{key.local, 0}, Endpoint{key.service, TRAP_FROM_BE16(key.port)}};
}

std::uint64_t time_to_renew_ns(const trap_redirect& redirect) {
  return (redirect.until_ns - redirect.learnt_ns) / parts_of_lifetime;
}

} // namespace

// Takes out the renewals that have come, and the redirects that ended without.
void RenewalPlan::conclude(const std::map<Key, const trap_redirect*>& held, std::uint64_t now_ns) {
  for (auto at = asked_.begin(); at != asked_.end();) {
    const auto found = held.find(at->first);
    const bool is_gone = found == held.end(); // evicted, flushed, or given up by a connection
    const bool is_new = !is_gone && found->second->learnt_ns != at->second.learnt_ns;
    counts_.renewed += is_new;
    counts_.failed += !is_new && at->second.until_ns <= now_ns;
    at = is_new || is_gone || at->second.until_ns <= now_ns ? asked_.erase(at) : std::next(at);
  }
}

bool RenewalPlan::is_due(const Entry& entry, std::uint64_t now_ns) const {
  const trap_redirect& redirect = entry.second;
  if (redirect.used_ns == 0 || redirect.flags & TRAP_REDIRECT_FROM_RESET ||
      redirect.until_ns <= now_ns || redirect.learnt_ns >= redirect.until_ns)
    return false;
  const std::uint64_t time_ns = time_to_renew_ns(redirect);
  if (now_ns + time_ns < redirect.until_ns)
    return false;
  const auto asked = asked_.find(key_of(entry.first));
  return asked == asked_.end() || (asked->second.attempts < list_attempts &&
                                   now_ns - asked->second.last_ns >= time_ns / list_attempts);
}

std::vector<RenewalPlan::Entry> RenewalPlan::choose(const std::vector<Entry>& held,
                                                    std::uint64_t now_ns) {
  std::map<Key, const trap_redirect*> by_key;
  for (const Entry& entry : held)
    by_key.emplace(key_of(entry.first), &entry.second);
  conclude(by_key, now_ns);
  std::vector<Entry> due;
  std::ranges::copy_if(held, std::back_inserter(due),
                       [&](const Entry& entry) { return is_due(entry, now_ns); });
  std::ranges::sort(due, {}, [](const Entry& entry) { return entry.second.until_ns; });
  due.resize(std::min(due.size(), most_at_once));
  for (const auto& [key, redirect] : due) {
    Asked& asked = asked_[key_of(key)];
    asked = {redirect.learnt_ns, redirect.until_ns, now_ns, asked.attempts + 1};
    counts_.sent++;
  }
  return due;
}

} // namespace trap::client
