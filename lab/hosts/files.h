// SPDX-License-Identifier: Apache-2.0
// Small things done with files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace trap::lab {

// Replaces the file's content; makes its directory if there is none.
Result<void> write_text(const std::filesystem::path& path, std::string_view text);

// Writes `bytes` of pseudo-random data, different for each seed.
Result<void> write_random_file(const std::filesystem::path& path, std::uint64_t bytes,
                               std::uint64_t seed);

// True if both files exist and have the same bytes.
bool same_content(const std::filesystem::path& a, const std::filesystem::path& b);

// The last `count` lines of a text file, none if it cannot be read.
std::vector<std::string> last_lines(const std::filesystem::path& path, std::size_t count);

} // namespace trap::lab
