// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/files.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <random>
#include <system_error>

#include "runtime/whole_file.h"

namespace trap::lab {

namespace fs = std::filesystem;

Result<void> write_text(const fs::path& path, std::string_view text) {
  std::error_code failed;
  if (path.has_parent_path())
    fs::create_directories(path.parent_path(), failed);
  constexpr mode_t usual = 0666;
  return replace_file(path.string(), text, usual);
}

Result<void> write_random_file(const fs::path& path, std::uint64_t bytes, std::uint64_t seed) {
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  std::mt19937_64 random{seed};
  std::array<std::uint64_t, 8192> block{};
  for (std::uint64_t left = bytes; left > 0 && file;) {
    std::ranges::generate(block, std::ref(random));
    const std::uint64_t now = std::min<std::uint64_t>(left, sizeof block);
    file.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(now));
    left -= now;
  }
  file.close();
  if (!file)
    return Error{"cannot write " + path.string()};
  return {};
}

bool same_content(const fs::path& a, const fs::path& b) {
  std::error_code failed;
  if (fs::file_size(a, failed) != fs::file_size(b, failed) || failed)
    return false;
  std::ifstream left{a, std::ios::binary}, right{b, std::ios::binary};
  std::array<char, 65536> left_block{}, right_block{};
  while (left && right) {
    left.read(left_block.data(), left_block.size());
    right.read(right_block.data(), right_block.size());
    if (left.gcount() != right.gcount() ||
        !std::equal(left_block.begin(), left_block.begin() + left.gcount(), right_block.begin()))
      return false;
  }
  return left.eof() && right.eof();
}

std::vector<std::string> last_lines(const fs::path& path, std::size_t count) {
  std::ifstream file{path};
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(line);
  lines.erase(lines.begin(),
              lines.end() - static_cast<std::ptrdiff_t>(std::min(count, lines.size())));
  return lines;
}

} // namespace trap::lab
