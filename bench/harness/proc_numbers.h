// SPDX-License-Identifier: Apache-2.0
// Numbers that the kernel gives in files of /proc.
#pragma once

#include <filesystem>
#include <string>

namespace trap::bench {

// The number after `name` in a file of "name: number" lines. Throws if there is none.
double number_in(const std::filesystem::path& file, const std::string& name);

// Memory that the kernel keeps for a map.
double map_kib(int fd);

} // namespace trap::bench
