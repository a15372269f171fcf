// SPDX-License-Identifier: Apache-2.0
// Unmodified client programs other than curl, each run once, without a second try.
#ifndef TRAP_LAB_PROGRAMS_H
#define TRAP_LAB_PROGRAMS_H

#include <filesystem>
#include <string>
#include <string_view>

#include "lab/host.h"
#include "lab/topology.h"
#include "runtime/result.h"

namespace trap::lab {

// wget of a URL into a file.
Result<std::filesystem::path> wget(const Host& host, const std::string& url);

// Megabits a second that iperf3 measured in a second, upwards or, with `reverse`, downwards.
Result<double> iperf(const Host& host, std::string_view address, int port, bool reverse);

// What a headless Chromium makes of a page, after its scripts ran.
Result<std::string> chromium(const Host& host, const std::string& url);

// Puts a page of four resources among nginx's documents as page.html. Its script writes `page_verdict` into it if all arrived.
inline constexpr std::string_view page_verdict = "all resources arrived";
Result<void> write_page(const std::filesystem::path& documents);

// What the stack of `host` says about its established connections at an address of its own: `ss -ti`, one connection a line.
Result<std::string> connections_at(const Host& host, std::string_view address, int port);

} // namespace trap::lab

#endif
