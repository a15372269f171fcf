// SPDX-License-Identifier: Apache-2.0
// A daemon's process and numbers, as the kernel shows them in /proc.
#pragma once

#include <filesystem>
#include <string>

#include <sys/types.h>

#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::bench {

// The trap-server that runs on the host; an error if there is none.
Result<pid_t> daemon_in(const lab::Host& host);

// The number after `name` in a file of "name: number" lines; an error if there is none.
Result<double> number_in(const std::filesystem::path& file, const std::string& name);

// Memory that the kernel keeps for a map.
Result<double> map_kib(int fd);

} // namespace trap::bench
