// SPDX-License-Identifier: Apache-2.0
// The word that was probably meant by one that is unknown: for "did you mean".
#pragma once

#include <string>
#include <vector>

namespace trap {

// Of `words` the one with the fewest differences from `word`; empty if none is near. Case, '-'
// and '_' make no difference.
std::string nearest_word(const std::string& word, const std::vector<std::string>& words);

} // namespace trap
