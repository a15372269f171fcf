// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/nearest_word.h"

#include <algorithm>
#include <cctype>

namespace trap {
namespace {

constexpr std::size_t word_most_bytes = 64; // the time grows with its square

std::string plain(const std::string& word) {
  std::string out;
  for (const unsigned char c : word) {
    if (c != '-' && c != '_')
      out += static_cast<char>(std::tolower(c));
  }
  return out;
}

// How many letters to insert, leave out, replace or exchange with the next.
std::size_t differences(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); i++) {
    for (std::size_t j = 0; j <= b.size(); j++) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

} // namespace

std::string nearest_word(const std::string& word, const std::vector<std::string>& words) {
  if (word.empty() || word.size() > word_most_bytes)
    return "";
  const std::string* nearest = nullptr;
  std::size_t fewest = 1 + std::max<std::size_t>(1, word.size() / 4);
  for (const std::string& candidate : words) {
    const std::size_t found = differences(plain(word), plain(candidate));
    if (found < fewest) {
      fewest = found;
      nearest = &candidate;
    }
  }
  return nearest ? *nearest : "";
}

} // namespace trap
