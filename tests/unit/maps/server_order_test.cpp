// SPDX-License-Identifier: Apache-2.0
// The order in which trap-server's maps are written. Between random pairs of configurations, after
// every single write, a packet is led through the maps as server/bpf does it: it must meet the old
// or the new of its service.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <random>

#include <fmt/format.h>

#include "dataplane/verdict.h"
#include "runtime/config/prefix.h"
#include "server/daemon/maps/server_maps.h"
#include "server/daemon/plan/active_configuration.h"
#include "tests/unit/maps/memory_maps.h"

namespace trap::test {
namespace {

using namespace server;

constexpr std::uint64_t epoch = 409272;

Secret secret_of(std::uint8_t byte) {
  Secret secret;
  secret.bytes.fill(byte);
  return secret;
}

Endpoint endpoint(const std::string& text) {
  return *parse_endpoint(text);
}

trap_address address(const std::string& text) {
  return *parse_address(text);
}

const std::vector<std::string> public_addresses = {"203.0.113.10:80", "203.0.113.10:443",
                                                   "203.0.113.11:80", "203.0.113.12:80",
                                                   "[2001:db8:113::10]:80"};
const std::vector<std::string> clients = {"192.0.2.1", "192.0.2.129", "198.51.100.7",
                                          "2001:db8:1::1"};

// Configuration texts, all of which the daemon's reader takes.
class Writer {
public:
  explicit Writer(std::uint64_t seed) : random_(seed) {}

  std::string config() {
    std::string text = "interfaces = [\"eth0\"]\n";
    std::string services;
    for (std::size_t i = 0; i < public_addresses.size(); i++) {
      if (chance(2, 3))
        services += service(i);
    }
    return text + (services.empty() ? service(0) : services);
  }

  bool chance(unsigned of, unsigned all) { return random_() % all < of; }

private:
  template <class T> const T& any(const std::vector<T>& things) {
    return things[random_() % things.size()];
  }

  std::string backend(int family, const std::string& pool, int which) {
    const std::string host = family == 4 ? "198.51.100.2{}:80" : "[2001:db8:100::2{}]:80";
    return fmt::format(
        "  [[service.backend]]\n  address = \"{}\"\n  guard = \"{}\"\n  weight = {}\n"
        "  ticket_lifetime_s = {}\n{}",
        fmt::format(fmt::runtime(host), which), any<std::string>({"a", "b", "c"}),
        1 + random_() % 3, any<int>({300, 600}), pool.empty() ? "" : "  pool = \"" + pool + "\"\n");
  }

  std::string backends(int family, const std::string& pool, unsigned least) {
    std::string text;
    for (int which = 0; which < 4; which++) {
      if (least > 0 || chance(1, 3)) {
        text += backend(family, pool, which);
        least = 0;
      }
    }
    return text;
  }

  std::string service(std::size_t i) {
    const int family = i == public_addresses.size() - 1 ? 6 : 4;
    const bool serves = chance(1, 2);
    std::string text =
        fmt::format("[[service]]\nname = \"s{}\"\naddresses = [\"{}\"]\n", i, public_addresses[i]);
    text += serves ? "unaware = \"serve\"\n" : "unaware = \"reset\"\n";
    if (chance(1, 4))
      text += "offer = false\n";
    if (chance(1, 4))
      text += "syn_acks_per_s = 1000\n";
    if (serves && chance(1, 2))
      text += "when_down = \"silence\"\n";
    text += backends(family, "", serves && chance(1, 2) ? 0 : 1);
    const std::string pool = chance(1, 2) ? "partners" : "staff";
    text += backends(family, pool, 1);
    for (const char* prefix : family == 4
                                  ? std::vector<const char*>{"192.0.2.0/24", "192.0.2.128/25"}
                                  : std::vector<const char*>{"2001:db8:1::/48"}) {
      if (chance(1, 2))
        continue;
      const std::string action = any<std::string>({"deny", "pool", serves ? "serve" : "pool"});
      text += fmt::format("  [[service.policy]]\n  action = \"{}\"\n  prefixes = [\"{}\"]\n{}",
                          action, prefix, action == "pool" ? "  pool = \"" + pool + "\"\n" : "");
    }
    return text;
  }

  std::mt19937_64 random_;
};

// A configuration in force: plan, contents and master key.
struct State {
  ActiveConfiguration active;
  BackendAvailability backends;
  MapContents contents;

  void look() {
    contents = make_contents(active.plan, backends, {{2, 2, 1, 1}, 1500},
                             [](const PlannedService&) { return ServiceState{}; });
  }
  const PlannedService* service(const Endpoint& at) const {
    for (const PlannedService& planned : active.plan.services) {
      if (planned.address == at)
        return &planned;
    }
    return nullptr;
  }
};

// What a packet meets.
struct Met {
  bool is_service = false;
  std::uint32_t slot = 0;
  trap_service service = {};
  std::optional<trap_policy> policy;
};

class ServerOrder : public testing::Test {
protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    path_ = std::filesystem::temp_directory_path() /
            fmt::format("trap-server-order-{}-{}.toml", name, getpid());
    fds_ = {.places = store_.add(MapKind::array, 4, sizeof(trap_place), TRAP_PLACES),
            .services = store_.add(MapKind::array, 4, sizeof(trap_service), 1024),
            .selections = store_.add(MapKind::array, 4, sizeof(trap_selection), 1024),
            .backends = store_.add(MapKind::array, 4, sizeof(trap_backend), 10240),
            .guards = store_.add(MapKind::array, 4, sizeof(trap_server_guard), 256),
            .policies = store_.add(MapKind::array_of_maps, 4, 4, 1024),
            .clients = -1,
            .caps = store_.add(MapKind::array, 4, sizeof(trap_cap), TRAP_CAPS),
            .allowances = store_.add(MapKind::array, 4, 8, TRAP_CAPS),
            .counters = store_.add(MapKind::array, 4, sizeof(trap_count), 1 << 20)};
    maps_.emplace(fds_, store_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::unique_ptr<State> state(const std::string& text, const EarlierMaps& earlier,
                               std::uint8_t master) {
    auto made = std::make_unique<State>();
    std::ofstream(path_) << text;
    auto config = read_server_config(path_);
    if (!config)
      throw std::runtime_error(config.error().message + "\n" + text);
    made->active.config = std::move(*config);
    made->active.master = secret_of(master);
    auto plan = make_plan(made->active.config, earlier);
    if (!plan)
      throw std::runtime_error(plan.error().message);
    made->active.plan = std::move(*plan);
    made->look();
    return made;
  }

  // From the state before to another one, as ServerPart does it; every write is looked at.
  void go_to(std::unique_ptr<State> next, const EarlierMaps& earlier) {
    after_ = std::move(next);
    auto change = maps_->prepare(after_->active.plan, after_->contents);
    ASSERT_TRUE(change) << change.error().message;
    store_.after_write = [this] { expect_old_or_new(); };
    const auto applied = maps_->apply(after_->active.plan, after_->contents, *change, earlier,
                                      after_->active.master, epoch);
    store_.after_write = [] {};
    ASSERT_TRUE(applied) << applied.error().message;
    before_ = std::move(after_);
    expect_only_new();
  }

  // The same configuration while backends go down and come up again.
  void refresh(Writer& writer) {
    after_ = std::make_unique<State>();
    after_->active.config = before_->active.config;
    after_->active.master = before_->active.master;
    const auto plan = make_plan(after_->active.config, maps_after(before_->active.plan));
    ASSERT_TRUE(plan);
    after_->active.plan = *plan;
    for (const server::ServiceConfig& service : after_->active.config.services) {
      for (const BackendConfig& backend : service.backends)
        after_->backends.order(service.name, backend.endpoint,
                               writer.chance(1, 2) ? BackendState::down : BackendState::active);
    }
    after_->look();
    store_.after_write = [this] { expect_old_or_new(); };
    const auto refreshed = maps_->refresh(after_->contents);
    store_.after_write = [] {};
    ASSERT_TRUE(refreshed) << refreshed.error().message;
    before_ = std::move(after_);
    expect_only_new();
  }

  // --- a packet's way: find_slot, prepare, policy_allows, and the choice of a backend

  std::optional<std::uint32_t> find_slot(const Endpoint& to) {
    std::uint32_t at = trap_place_of(&to.address, TRAP_BE16(to.port));
    for (int probe = 0; probe < TRAP_PLACE_PROBES; probe++, at = (at + 1) % TRAP_PLACES) {
      const auto place = store_.read<trap_place>(fds_.places, at);
      if (place->state == TRAP_PLACE_NEVER_TAKEN)
        return std::nullopt;
      if (place->state == TRAP_PLACE_TAKEN && place->port == TRAP_BE16(to.port) &&
          trap_address_equal(&place->address, &to.address))
        return place->slot;
    }
    return std::nullopt;
  }

  Met meet(const Endpoint& to, const trap_address& client) {
    Met met;
    const auto slot = find_slot(to);
    if (!slot)
      return met;
    met.is_service = true;
    met.slot = *slot;
    met.service = *store_.read<trap_service>(fds_.services, *slot);
    trap_policy_key key = {.bits = 128, .address = {}};
    std::memcpy(key.address, &client, sizeof key.address);
    if (met.service.flags & TRAP_SERVICE_POLICED)
      met.policy = store_.read_inner<trap_policy>(fds_.policies, *slot, key);
    return met;
  }

  // --- and what it may find there

  std::vector<const State*> states() const {
    std::vector<const State*> both;
    for (const State* state : {before_.get(), after_.get()}) {
      if (state)
        both.push_back(state);
    }
    return both;
  }

  void fail(const std::string& what) {
    if (failures_++ < 5)
      ADD_FAILURE() << "pair " << pair_ << ", write " << store_.writes() << ": " << what;
  }

  void expect_old_or_new() {
    for (const std::string& to : public_addresses) {
      for (const std::string& from : clients)
        expect_old_or_new(endpoint(to), address(from));
    }
    for (const std::string& to : public_addresses)
      expect_found_without_ports({endpoint(to).address, 0});
  }

  static bool same(const trap_service& a, const trap_service& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
  }

  void expect_found_without_ports(const Endpoint& to) {
    bool always = true, ever = false;
    for (const State* state : states()) {
      const bool there =
          std::ranges::any_of(state->active.plan.services, [&](const PlannedService& planned) {
            return trap_address_equal(&planned.address.address, &to.address);
          });
      always = always && there;
      ever = ever || there;
    }
    if (find_slot(to) ? !ever : always)
      fail("an address without ports is " + std::string(ever ? "not found" : "found"));
  }

  void expect_old_or_new(const Endpoint& to, const trap_address& client) {
    const Met met = meet(to, client);
    const std::string name = format_endpoint(to) + " from " + format_address(client) + ": ";
    bool always = true, ever = false, is_one = false, policy_is_one = false;
    std::vector<const State*> fitting; // theirs is what leads to the pool
    const bool policed = met.service.flags & TRAP_SERVICE_POLICED;
    for (const State* state : states()) {
      const PlannedService* planned = state->service(to);
      always = always && planned;
      if (!planned)
        continue;
      ever = true;
      const bool fits = planned->slot == met.slot &&
                        same(met.service, state->contents.services.at(planned->slot));
      const bool policy_fits = !policed || is_policy_of(*state, *planned, client, met.policy);
      is_one = is_one || fits;
      policy_is_one = policy_is_one || policy_fits;
      if (met.policy ? policy_fits : fits)
        fitting.push_back(state);
    }
    if (!met.is_service) {
      if (always)
        fail(name + "no service is found");
      return;
    }
    if (!ever)
      return fail(name + "a service is found that is in no configuration");
    if (!is_one)
      fail(name + "its service is neither the old nor the new");
    if (!policy_is_one)
      fail(name + "the policy is neither the old nor the new");
    if (met.policy && met.policy->action == TRAP_POLICY_SERVE &&
        !(met.service.flags & TRAP_SERVICE_SERVES))
      fail(name + "is to be served by a service that does not serve");
    if (met.policy && met.policy->action != TRAP_POLICY_POOL)
      return;
    expect_pool(to, met.policy ? met.policy->pool : met.service.pool, fitting, name);
  }

  static const PolicyEntry* entry_of(const PolicyConfig& config, const trap_address& client) {
    const PolicyEntry* longest = nullptr;
    for (const PolicyEntry& entry : config.entries) {
      if (entry.prefix.family() == family_of(client) &&
          covers(Prefix{entry.prefix.address, entry.prefix.bits}, client) &&
          (!longest || entry.prefix.bits > longest->prefix.bits))
        longest = &entry;
    }
    return longest;
  }

  static bool is_policy_of(const State& state, const PlannedService& planned,
                           const trap_address& client, const std::optional<trap_policy>& met) {
    const auto policies = state.contents.policies.find(planned.slot);
    const PolicyEntry* entry =
        policies == state.contents.policies.end() || policies->second.family != family_of(client)
            ? nullptr
            : entry_of(*planned.service->policies, client);
    if (!entry || !met)
      return !entry && !met;
    const trap_policy& wanted = policies->second.rules.at(entry->rule);
    return wanted.action == met->action && wanted.pool == met->pool;
  }

  // The pool is this service's, and all that it names are its backends, with their guards' keys. An
  // empty one goes with a service or a policy that expects it.
  void expect_pool(const Endpoint& to, std::uint32_t pool, const std::vector<const State*>& fitting,
                   const std::string& name) {
    const auto selection = store_.read<trap_selection>(fds_.selections, pool);
    bool may_be_empty = false, is_known = false;
    for (const State* state : states()) {
      const PlannedService* planned = state->service(to);
      for (const PlannedPool& own : planned ? planned->pools : std::vector<PlannedPool>{}) {
        if (own.index != pool)
          continue;
        is_known = true;
        may_be_empty = may_be_empty || (state->contents.pools.at(pool).empty() &&
                                        std::ranges::count(fitting, state) != 0);
      }
    }
    if (!is_known)
      return fail(name + fmt::format("is led to pool {}, which is another's", pool));
    if (selection->backend_count == 0) {
      if (!may_be_empty)
        fail(name + "its pool is empty, which neither the old nor the new expects");
      return;
    }
    for (std::size_t i = 0; i < std::size(selection->backends); i += 211)
      expect_backend(to, pool, selection->backends[i], name);
  }

  void expect_backend(const Endpoint& to, std::uint32_t pool, std::uint16_t index,
                      const std::string& name) {
    const auto met = store_.read<trap_backend>(fds_.backends, std::uint32_t{index});
    for (const State* state : states()) {
      const PlannedService* planned = state->service(to);
      if (!planned || !state->contents.pools.contains(pool))
        continue;
      const auto& candidates = state->contents.pools.at(pool);
      const bool is_one = std::ranges::any_of(
          candidates, [&](const Candidate& candidate) { return candidate.index == index; });
      if (is_one &&
          std::memcmp(&*met, &state->active.plan.backends.at(index).value, sizeof *met) == 0)
        return expect_guard(*met, state->active.plan.backends.at(index).guard, name);
    }
    fail(name + fmt::format("is led to {} (backend {}), which is not in its pool",
                            format_endpoint({met->address, TRAP_FROM_BE16(met->port)}), index));
  }

  void expect_guard(const trap_backend& backend, const std::string& guard,
                    const std::string& name) {
    const auto met = store_.read<trap_server_guard>(fds_.guards, std::uint32_t{backend.guard});
    for (const std::uint64_t at : {epoch - 1, epoch, epoch + 5}) {
      trap_key key;
      bool is_one = trap_keyring_find(&met->ticket_keys, at, &key);
      bool is_right = false;
      for (const State* state : states()) {
        const trap_key wanted = derive_ticket_key(guard_secret(state->active.master, guard), at);
        is_right = is_right || (is_one && trap_key_equal(&wanted, &key));
      }
      if (!is_right)
        fail(name + "the key of guard " + guard + " is not there");
    }
  }

  Secret guard_secret(const Secret& master, const std::string& name) {
    auto& known = secrets_[{master.bytes[0], name}];
    if (!known)
      known = derive_guard_secret(master, name);
    return *known;
  }

  void expect_only_new() {
    after_.reset();
    expect_old_or_new();
    const ServerPlan& plan = before_->active.plan;
    for (std::uint32_t index = 0; index < 64; index++) {
      if (!plan.backends.contains(index))
        EXPECT_EQ(store_.read<trap_backend>(fds_.backends, index)->port, 0) << index;
      if (!before_->contents.pools.contains(index))
        EXPECT_EQ(store_.read<trap_selection>(fds_.selections, index)->backend_count, 0U) << index;
      if (!before_->contents.services.contains(index))
        EXPECT_EQ(store_.read<trap_service>(fds_.services, index)->flags, 0U) << index;
      std::uint32_t id = 0;
      if (!before_->contents.policies.contains(index))
        EXPECT_NE(store_.look_up(fds_.policies, &index, &id), 0) << index;
    }
  }

  MemoryMaps store_;
  MapFds fds_;
  std::optional<ServerMaps> maps_;
  std::filesystem::path path_;
  std::unique_ptr<State> before_ = std::make_unique<State>();
  std::unique_ptr<State> after_;
  std::map<std::pair<std::uint8_t, std::string>, std::optional<Secret>> secrets_;
  int pair_ = 0;
  int failures_ = 0;
};

TEST_F(ServerOrder, of_a_reload_leads_every_packet_to_the_old_or_the_new) {
  Writer writer(1);
  for (pair_ = 0; pair_ < 40 && failures_ == 0; pair_++) {
    const EarlierMaps earlier = maps_after(before_->active.plan);
    const std::uint8_t master = writer.chance(1, 4) ? 2 : 1;
    go_to(state(writer.config(), earlier, master), earlier);
    refresh(writer);
  }
  EXPECT_GT(store_.writes(), 1000U);
}

TEST_F(ServerOrder, of_a_restart_leads_every_packet_to_the_old_or_the_new) {
  Writer writer(2);
  for (pair_ = 0; pair_ < 20 && failures_ == 0; pair_++) {
    maps_.emplace(fds_, store_); // another daemon, which knows only the maps
    const std::string text = writer.config();
    const auto config = state(text, {}, 1)->active.config;
    const EarlierMaps earlier = maps_->read(guard_names(config), secret_of(1), epoch);
    go_to(state(text, earlier, 1), earlier);
    refresh(writer);
  }
  EXPECT_GT(store_.writes(), 500U);
}

} // namespace
} // namespace trap::test
