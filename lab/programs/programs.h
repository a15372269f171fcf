// SPDX-License-Identifier: Apache-2.0
// Unmodified client programs other than curl, each run once, without a second try.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lab/hosts/addresses.h"
#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

// wget of a URL into a file.
Result<std::filesystem::path> wget(const Host& host, const std::string& url);

// Megabits a second that iperf3 measured in a second, upwards or, with `reverse`, downwards.
Result<double> iperf(const Host& host, std::string_view address, int port, bool reverse);

// The document that a headless Chromium has of a page after its scripts ran.
Result<std::string> chromium(const Host& host, const std::string& url);

// Puts a page of four resources among nginx's documents as page.html. Its script writes
// `page_verdict` into it if all arrived.
inline constexpr std::string_view page_verdict = "all resources arrived";
Result<void> write_page(const std::filesystem::path& documents);

// Puts a page with this many pictures, each a file of its own, among nginx's documents as
// gallery.html; it ends with `page_verdict`, too.
Result<void> write_gallery(const std::filesystem::path& documents, int pictures);

// SET and GET of a word with redis-cli: what GET printed.
Result<std::string> redis_word(const Host& host, std::string_view address, int port,
                               const std::string& word);

// Requests a second that redis-benchmark measured for GET, with fifty connections.
Result<double> redis_benchmark(const Host& host, std::string_view address, int port);

// What psql prints for one statement.
Result<std::string> psql(const Host& host, std::string_view address, int port,
                         const std::string& statement);

// wrk with a thousand connections for two seconds.
struct WrkResult {
  double requests_per_s = 0;
  std::string errors; // wrk's line about them, empty if there were none
};
Result<WrkResult> wrk(const Host& host, const std::string& url);

// What the stack of `host` says about its established connections at an address of its own: `ss
// -ti`, one connection a line.
Result<std::string> connections_at(const Host& host, std::string_view address, int port);

// Waits until the stack of `host` has no connection with a peer left but those in TIME-WAIT: it
// sends no more resets for them. False if that takes too long.
bool connections_end(const Host& host, std::string_view peer);

} // namespace trap::lab
