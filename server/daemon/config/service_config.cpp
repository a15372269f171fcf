// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/service_config.h"

#include <algorithm>
#include <iterator>

#include <fmt/core.h>

#include "runtime/config/part_config.h"
#include "runtime/config/token_rate.h"

namespace trap::server {
namespace {

constexpr std::int64_t attack_syns_max = 1000000000;
constexpr std::int64_t attack_hold_max_s = 3600;
constexpr std::int64_t health_interval_max_ms = 3600000;
constexpr std::int64_t health_timeout_max_ms = 60000;
constexpr std::int64_t health_count_max = 100;

Keys<ActivationSettings> activation_keys() {
  using A = ActivationSettings;
  return {integer("attack_syns_per_s", &A::syns_per_s, {1, attack_syns_max}, by_reload,
                  "more SYNs a second are an attack"),
          integer("attack_incomplete_percent", &A::incomplete_percent, {1, 100}, by_reload,
                  "a larger share of SYNs without a completed handshake is an attack"),
          integer("attack_hold_s", &A::hold_s, {1, attack_hold_max_s}, by_reload,
                  "how long all must be below half of that before peace returns")};
}

Keys<HealthSettings> health_keys() {
  using H = HealthSettings;
  return {integer("health_interval_ms", &H::interval_ms, {100, health_interval_max_ms}, by_reload,
                  "time from one check of a backend to the next"),
          integer("health_timeout_ms", &H::timeout_ms, {10, health_timeout_max_ms}, by_reload,
                  "time that a check may take"),
          integer("health_rise", &H::rise, {1, health_count_max}, by_reload,
                  "successes in a row that make a backend up"),
          integer("health_fall", &H::fall, {1, health_count_max}, by_reload,
                  "failures in a row that make a backend down")};
}

// Health is that of an address and port, so that there is one way to each.
void check_same_way(ConfigTable& table, const BackendConfig& read, const BackendConfig& other) {
  if (other.endpoint == read.endpoint && other.reached_at() != read.reached_at())
    table.fail(table.line(), fmt::format("backend {} has another guard_address elsewhere",
                                         format_endpoint(read.endpoint)));
}

void check_backend(ConfigTable& table, BackendConfig& read, const ServiceConfig& service) {
  for (const BackendConfig& other : service.backends) {
    if (other.endpoint == read.endpoint && other.pool == read.pool)
      table.fail(table.line(),
                 fmt::format("backend {} is listed twice", format_endpoint(read.endpoint)));
    check_same_way(table, read, other);
  }
  if (read.guard_address && family_of(*read.guard_address) != family_of(read.endpoint.address))
    table.fail(table.line_of("guard_address"),
               fmt::format("guard_address {} is not of the family of backend {}",
                           format_address(*read.guard_address), format_endpoint(read.endpoint)));
}

Key<ServiceConfig> policy_key() {
  static const Keys<PolicyRule> keys = policy_keys();
  Key<ServiceConfig> key;
  key.facts = {.name = "policy",
               .type = KeyType::tables,
               .meaning = "fate of clients, by the longest prefix that their address has",
               .keys = facts_of(keys)};
  key.take = [](ConfigTable& table, const ConfigNode& node, ServiceConfig& service) {
    service.policies = std::make_shared<const PolicyConfig>(read_policies(table, node));
  };
  key.show = [](const ServiceConfig& service, View view) {
    return show_tables(keys, service.policies->rules, view);
  };
  return key;
}

const std::string* owner_of(const Endpoint& address, const std::vector<ServiceConfig>& services) {
  for (const ServiceConfig& service : services) {
    if (std::find(service.addresses.begin(), service.addresses.end(), address) !=
        service.addresses.end())
      return &service.name;
  }
  return nullptr;
}

void add_addresses(ServiceConfig& service, const std::vector<Endpoint>& more) {
  for (const Endpoint& address : more) {
    if (std::ranges::find(service.addresses, address) == service.addresses.end())
      service.addresses.push_back(address);
  }
}

void check_names(ConfigTable& table, const ServiceConfig& read,
                 const std::vector<ServiceConfig>& others) {
  for (std::size_t i = 0; i < read.patterns.size(); i++) {
    for (const Endpoint& address : written_out(read.patterns[i])) {
      if (const std::string* owner = owner_of(address, others))
        table.fail(table.line_of("addresses", i),
                   fmt::format("address {} belongs to service \"{}\" already",
                               format_endpoint(address), *owner));
    }
  }
  for (const ServiceConfig& other : others) {
    if (other.name == read.name)
      table.fail(table.line(), "another service has this name already");
  }
}

bool is_backend_of(const ServiceConfig& service, const Endpoint& address) {
  return std::ranges::find(service.backends, address, &BackendConfig::endpoint) !=
         service.backends.end();
}

void fail_loop(ConfigTable& table, unsigned line, const Endpoint& address) {
  table.fail(line, fmt::format("{} is a public address and a backend: clients that are redirected "
                               "there would meet trap-server again: give the service behind it "
                               "another port, or another address of this host",
                               format_endpoint(address)));
}

// Packets of a public address never reach a guard at the same interface (docs/adr/0042).
void check_loops(ConfigTable& table, const ServiceConfig& read,
                 const std::vector<ServiceConfig>& others) {
  for (std::size_t i = 0; i < read.patterns.size(); i++) {
    for (const Endpoint& address : written_out(read.patterns[i])) {
      if (is_backend_of(read, address) ||
          std::ranges::any_of(
              others, [&](const ServiceConfig& other) { return is_backend_of(other, address); }))
        fail_loop(table, table.line_of("addresses", i), address);
    }
  }
  for (const BackendConfig& backend : read.backends) {
    if (owner_of(backend.endpoint, others))
      fail_loop(table, table.line(), backend.endpoint);
  }
}

// Keys whose defaults depend on each other: a service of one host is served there, one with
// backends need not be.
void settle_manner(ConfigTable& table, ServiceConfig& service) {
  const bool alone = service.backends.empty();
  if (!table.find("unaware"))
    service.unaware = alone ? Unaware::serve : Unaware::reset;
  if (!table.find("activate"))
    service.activate = alone && service.serves() ? Activate::attack : Activate::always;
  if (!table.find("when_down"))
    service.when_down = service.serves() ? WhenDown::serve : WhenDown::silence;
  if (alone && !service.serves())
    table.fail(
        table.line_of("unaware"),
        R"(unaware = "reset" needs a backend to redirect to: add [[service.backend]], or write unaware = "serve")");
  if (service.activate == Activate::attack && !service.serves())
    table.fail(
        table.line_of("activate"),
        R"(activate = "attack" needs unaware = "serve": at peace this host's listener answers)");
  if (service.when_down == WhenDown::serve && !service.serves())
    table.fail(table.line_of("when_down"), R"(when_down = "serve" needs unaware = "serve")");
}

bool has_backend(const ServiceConfig& service, const std::string& pool, trap_family family) {
  return std::any_of(service.backends.begin(), service.backends.end(),
                     [&](const BackendConfig& backend) {
                       return backend.pool == pool && family_of(backend.endpoint.address) == family;
                     });
}

// docs/protocol.md 1: a redirect never changes the family. A service that serves need not redirect.
void check_families(ConfigTable& table, const ServiceConfig& service) {
  for (std::size_t i = 0; i < service.patterns.size() && !service.serves(); i++) {
    const AddressPattern& pattern = service.patterns[i];
    const trap_family family = family_of(pattern.one);
    if (pattern.is_one && !has_backend(service, "", family))
      table.fail(table.line_of("addresses", i),
                 fmt::format("address {} has no backend of its family: add an IPv{} backend",
                             pattern.text, static_cast<int>(family)));
  }
}

bool has_address(const ServiceConfig& service, trap_family family) {
  return std::any_of(service.addresses.begin(), service.addresses.end(),
                     [&](const Endpoint& address) { return family_of(address.address) == family; });
}

void check_policies(ConfigTable& table, const ServiceConfig& service) {
  const std::vector<PolicyRule>& rules = service.policies->rules;
  for (const PolicyRule& rule : rules) {
    if (rule.action == PolicyAction::serve && !service.serves())
      table.fail(rule.line, R"(action = "serve" needs unaware = "serve")");
  }
  std::vector<bool> checked(rules.size() * 2);
  for (const PolicyEntry& entry : service.policies->entries) {
    const trap_family family = entry.prefix.family();
    const PolicyRule& rule = rules[entry.rule];
    const std::size_t case_number = entry.rule * 2 + (family == TRAP_IPV6 ? 1 : 0);
    if (checked[case_number])
      continue;
    checked[case_number] = true;
    if (rule.action == PolicyAction::pool && has_address(service, family) &&
        !has_backend(service, rule.pool, family))
      table.fail(rule.line, fmt::format("pool \"{}\" has no IPv{} backend, which client prefix {} "
                                        "needs: add one with pool = \"{}\"",
                                        rule.pool, static_cast<int>(family),
                                        format_prefix(entry.prefix), rule.pool));
  }
}

// An address that another service has, that no backend is for, or that is a backend, is left out.
std::vector<Endpoint> usable_of(std::vector<Endpoint> found, const ServiceConfig& service,
                                const std::vector<ServiceConfig>& services) {
  std::erase_if(found, [&](const Endpoint& address) {
    return owner_of(address, services) ||
           std::ranges::any_of(
               services,
               [&](const ServiceConfig& other) { return is_backend_of(other, address); }) ||
           (!service.serves() && !has_backend(service, "", family_of(address.address)));
  });
  return found;
}

} // namespace

bool needs_host(const ServiceConfig& service) {
  return std::ranges::any_of(service.patterns,
                             [](const AddressPattern& pattern) { return !pattern.is_one; });
}

std::vector<AddressPattern> unmatched_patterns(const ServiceConfig& service,
                                               const std::vector<HostAddress>& host) {
  std::vector<AddressPattern> unmatched;
  std::ranges::copy_if(service.patterns, std::back_inserter(unmatched),
                       [&](const AddressPattern& pattern) {
                         return (!pattern.interface.empty() || pattern.prefix) &&
                                std::ranges::none_of(host, [&](const HostAddress& address) {
                                  return fits(pattern, address);
                                });
                       });
  return unmatched;
}

std::string unmatched_text(const ServiceConfig& service, const AddressPattern& pattern) {
  return fmt::format(
      "service \"{}\": \"{}\" stands for no address now: {}", service.name, pattern.text,
      pattern.interface.empty()
          ? "this host has none in the prefix"
          : fmt::format("this host has no interface \"{}\" with an address; names of hosts are not "
                        "looked up",
                        pattern.interface));
}

void find_addresses(std::vector<ServiceConfig>& services, const std::vector<HostAddress>& host) {
  for (ServiceConfig& service : services) {
    service.addresses.clear();
    for (const AddressPattern& pattern : service.patterns)
      add_addresses(service, written_out(pattern));
  }
  for (ServiceConfig& service : services) {
    for (const AddressPattern& pattern : service.patterns)
      add_addresses(service, usable_of(found_on(host, pattern), service, services));
  }
}

Keys<ServiceConfig> service_keys() {
  using S = ServiceConfig;
  return joined<S>(
      {{table_name("service", &S::name, "name of the service"),
        required(strings("addresses", &S::patterns, address_pattern(), by_reload,
                         "public addresses with ports; of this host, if an interface, a prefix or "
                         "\"*\" stands for them")),
        tables("backend", &S::backends, backend_keys(), {"address", "pool"}, check_backend,
               "where the service really is"),
        default_is("\"serve\" without backends, \"reset\" with them",
                   choice("unaware", &S::unaware,
                          {{"reset", Unaware::reset}, {"serve", Unaware::serve}}, by_reload,
                          "fate of clients without trap-client")),
        default_is("\"attack\" without backends, \"always\" with them",
                   choice("activate", &S::activate,
                          {{"always", Activate::always}, {"attack", Activate::attack}}, by_reload,
                          "when TRAP answers SYNs")),
        default_is("\"serve\" with unaware = \"serve\", \"silence\" otherwise",
                   choice("when_down", &S::when_down,
                          {{"silence", WhenDown::silence}, {"serve", WhenDown::serve}}, by_reload,
                          "fate of clients while no backend is usable")),
        boolean("offer", &S::offer, by_reload, "whether the SYN-ACK carries an OFFER")},
       within(&S::activation, activation_keys()),
       {integer("syn_acks_per_s", &S::syn_acks_per_s, {0, rate_max}, by_reload,
                "cap on the SYN-ACKs of each address; 0: the server's cap only"),
        choice("health", &S::checks_health, {{"tcp", true}, {"off", false}}, by_reload,
               "how the health of backends is checked")},
       within(&S::health, health_keys()),
       {policy_key()}});
}

void check_service(ConfigTable& table, ServiceConfig& read,
                   const std::vector<ServiceConfig>& others) {
  for (const AddressPattern& pattern : read.patterns)
    add_addresses(read, written_out(pattern));
  check_names(table, read, others);
  check_loops(table, read, others);
  for (const ServiceConfig& other : others) {
    for (const BackendConfig& theirs : other.backends) {
      for (const BackendConfig& ours : read.backends)
        check_same_way(table, ours, theirs);
    }
  }
  settle_manner(table, read);
  if (table.error())
    return;
  check_families(table, read);
  check_policies(table, read);
}

} // namespace trap::server
