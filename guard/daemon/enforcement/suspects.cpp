// SPDX-License-Identifier: Apache-2.0
#include "guard/daemon/enforcement/suspects.h"

#include <algorithm>

namespace trap::guard {

void Suspects::add(const trap_suspect& named, std::uint64_t unix_s) {
  if (!by_source_.contains(named.source) && by_source_.size() >= limit_) {
    auto oldest =
        std::min_element(by_source_.begin(), by_source_.end(), [](const auto& a, const auto& b) {
          return a.second.seen_unix_s < b.second.seen_unix_s;
        });
    by_source_.erase(oldest);
  }
  Suspect& suspect = by_source_[named.source];
  suspect.source = named.source;
  suspect.times++;
  suspect.slot = named.slot;
  suspect.verdict = named.verdict;
  suspect.seen_unix_s = unix_s;
}

std::vector<Suspect> Suspects::top(std::size_t count) const {
  std::vector<Suspect> all;
  for (const auto& [source, suspect] : by_source_)
    all.push_back(suspect);
  std::stable_sort(all.begin(), all.end(), [](const Suspect& a, const Suspect& b) {
    return a.times != b.times ? a.times > b.times : a.seen_unix_s > b.seen_unix_s;
  });
  if (all.size() > count)
    all.resize(count);
  return all;
}

} // namespace trap::guard
