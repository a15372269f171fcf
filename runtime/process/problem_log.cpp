// SPDX-License-Identifier: Apache-2.0
#include "runtime/process/problem_log.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string_view>

#include "runtime/log.h"

namespace trap {
namespace {

// "119", "(15", "1.5" or "0.3%,", but no address, name or version.
bool is_number(std::string_view word) {
  constexpr std::string_view around = "()%,;:.", digits = "0123456789";
  word.remove_prefix(std::min(word.find_first_not_of(around), word.size()));
  word = word.substr(0, word.find_last_not_of(around) + 1);
  const std::string_view fraction = word.substr(std::min(word.find('.') + 1, word.size()));
  return !word.empty() && word.find_first_not_of("0123456789.") == std::string_view::npos &&
         fraction.find_first_not_of(digits) == std::string_view::npos;
}

// The text without the words that are numbers.
std::string words_of(const std::string& problem) {
  std::istringstream stream(problem);
  std::string words;
  for (std::string word; stream >> word;) {
    if (!is_number(word))
      words += word + " ";
  }
  return words;
}

// Takes out of both lists the pairs that differ in numbers alone.
void drop_renumbered(std::vector<std::string>& came, std::vector<std::string>& went) {
  std::erase_if(came, [&](const std::string& problem) {
    const auto earlier = std::ranges::find(went, words_of(problem), words_of);
    if (earlier == went.end())
      return false;
    went.erase(earlier);
    return true;
  });
}

} // namespace

ProblemChanges ProblemLog::compare(const std::vector<std::string>& problems) {
  const std::set<std::string> now(problems.begin(), problems.end());
  ProblemChanges changes;
  std::ranges::set_difference(now, known_, std::back_inserter(changes.came));
  std::ranges::set_difference(known_, now, std::back_inserter(changes.went));
  drop_renumbered(changes.came, changes.went);
  known_ = now;
  return changes;
}

void ProblemLog::note(const std::vector<std::string>& problems) {
  const ProblemChanges changes = compare(problems);
  for (const std::string& problem : changes.came)
    log::warn("{}", problem);
  for (const std::string& problem : changes.went)
    log::info("no longer so: {}", problem);
}

} // namespace trap
