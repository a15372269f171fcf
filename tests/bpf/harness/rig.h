// SPDX-License-Identifier: Apache-2.0
// The differences between the three programs under test, and the objects that their tests share.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocol/clock.h"
#include "runtime/kernel/program.h"
#include "tests/bpf/harness/object.h"
#include "tests/support/test_constants.h"

namespace trap::test {

struct Rig {
  std::string part; // server, guard, client: folder of its fixtures
  // Loads the object; `small` shrinks the maps that programs fill, so that looking through them is
  // quick.
  std::function<std::unique_ptr<Object>(bool experimental, bool small)> load;
  // Fills the configuration maps by the daemon's code.
  std::function<void(Object&, const TestConstants&)> configure;
  // Writes keys and clock: it is `moment` now.
  std::function<void(Object&, const TestConstants&, const Json& moment)> set_time;
  // Program for a fixture's "run"; the first one if it has none.
  std::vector<std::string> programs;
  // Maps that are neither configuration nor tables of entries: restored before each run of a
  // fixture.
  std::vector<std::string> refilled = {};
  // Maps that only count, of which fixtures say nothing.
  std::vector<std::string> tallies = {};
  // Sets the budgets and caps that a fixture's "rates" names, and takes the others away; only the
  // server has them.
  std::function<void(Object&, const Json& rates)> set_rates = nullptr;
  // The same program once more, upon the maps of the first, that explains packets.
  std::function<std::unique_ptr<Object>(bool experimental, const Object& live)> load_twin = nullptr;
};

const Rig& server_rig();
const Rig& server_at_tc_rig(); // must do the same
const Rig& guard_rig();
const Rig& client_rig();

// The configured object of a rig at the moment "now", with the maps of a new one. It is loaded once
// in this process for each choice, and its maps are restored at each call, so nothing of an earlier
// test is left and references of earlier calls go on with the same object.
Object& fresh_object(const Rig& rig, const TestConstants& constants, bool experimental = false,
                     bool small = true);

// The twin of the small fresh object, which explains packets; loaded once for each encoding.
Object& twin_object(const Rig& rig, const TestConstants& constants, bool experimental = false);

// As the server's daemon does when it has seen all connections of the host: a connection without a
// bit in `connection_filter` does not exist.
void trust_known(Object& object);

// Fills a server's maps from another configuration, by the daemon's code, at the moment "now".
// Slots go from 1 by the order of addresses.
void configure_server_from(Object& object, const TestConstants& constants,
                           const std::string& configuration);

// The one of them that this executable tests.
const Rig& part_under_test();

// CLOCK_MONOTONIC_COARSE, which the programs read.
std::uint64_t coarse_ns();

// The clock of this host at a moment of the constants, and some time in an epoch.
trap_clock_anchor anchor_at(const Json& moment);
trap_clock_anchor anchor_in(std::uint64_t epoch);

// A quoted address of the constants, with a port if one is given, as configurations have it.
std::string quoted(const TestConstants& constants, const std::string& name, int family,
                   const std::string& port = "");

// Replaces "{name}" and "{name:port}" by the addresses of both families, or by `texts`.
std::string fill_in(const TestConstants& constants, const std::string& text,
                    const std::map<std::string, std::string>& texts = {});

// Puts a configuration into a file, and throws with the name and the message of a failure.
class ConfigurationFile {
public:
  explicit ConfigurationFile(const std::string& text);
  ~ConfigurationFile();
  ConfigurationFile(const ConfigurationFile&) = delete;
  ConfigurationFile& operator=(const ConfigurationFile&) = delete;

  const std::string& path() const { return path_; }

private:
  std::string path_;
};

// A configuration text through the daemon's reader; throws what that refuses.
template <class Config>
Config read_configuration(const std::string& text, Result<Config> (*read)(const std::string&)) {
  const ConfigurationFile file(text);
  auto config = read(file.path());
  if (!config)
    throw std::runtime_error(config.error().message);
  return std::move(*config);
}

// The object of a loaded program, which it keeps; throws if it could not be loaded.
template <class Skeleton> std::unique_ptr<Object> object_of(Result<Program<Skeleton>> loaded) {
  if (!loaded)
    throw std::runtime_error(loaded.error().message + ": " + last_libbpf_warning());
  auto kept = std::make_shared<Program<Skeleton>>(std::move(*loaded));
  bpf_object* object = kept->object();
  return std::make_unique<Object>(object, [kept]() mutable { kept.reset(); });
}

// Sizes an object that is not loaded yet such that reading its maps is quick: 1024 entries for
// every LRU hash, and counters of `slots` service slots; what would count for another slot counts
// nowhere.
void shrink_maps(bpf_object* object, std::uint32_t slots);

} // namespace trap::test
