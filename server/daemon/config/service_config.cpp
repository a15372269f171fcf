// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config/service_config.h"

#include <algorithm>

#include <fmt/core.h>

#include "runtime/config/part_config.h"
#include "runtime/config/token_rate.h"

namespace trap::server {
namespace {

constexpr std::int64_t kAttackSynsMax = 1000000000;
constexpr std::int64_t kAttackHoldMaxS = 3600;
constexpr std::int64_t kHealthIntervalMaxMs = 3600000;
constexpr std::int64_t kHealthTimeoutMaxMs = 60000;
constexpr std::int64_t kHealthCountMax = 100;

std::vector<ConfigString> read_addresses(ConfigTable& table, ServiceConfig& service,
                                         PublicAddresses& taken) {
  std::vector<ConfigString> addresses = table.required_strings("addresses");
  for (const ConfigString& text : addresses) {
    const Endpoint endpoint = read_redirect_endpoint(table, text);
    auto [at, is_new] = taken.emplace(endpoint, service.name);
    if (!is_new)
      table.fail(text.line, fmt::format("address {} belongs to service \"{}\" already", text.text,
                                        at->second));
    service.addresses.push_back(endpoint);
  }
  return addresses;
}

// Whose defaults depend on each other: what a service of one host is, one with backends need not
// be.
void read_manner(ConfigTable& table, ServiceConfig& service) {
  const bool alone = service.backends.empty();
  const ConfigString unaware =
      table.choice_or("unaware", alone ? std::vector<std::string>{"serve", "reset"}
                                       : std::vector<std::string>{"reset", "serve"});
  service.unaware = unaware.text == "serve" ? Unaware::serve : Unaware::reset;
  if (alone && !service.serves())
    table.fail(
        unaware.line,
        R"(unaware = "reset" needs a backend to redirect to: add [[service.backend]], or write unaware = "serve")");
  const ConfigString activate = table.choice_or("activate", {"always", "attack"});
  service.activate = activate.text == "attack" ? Activate::attack : Activate::always;
  if (service.activate == Activate::attack && !service.serves())
    table.fail(
        activate.line,
        R"(activate = "attack" needs unaware = "serve": at peace this host's listener answers)");
  const ConfigString when_down =
      table.choice_or("when_down", service.serves() ? std::vector<std::string>{"serve", "silence"}
                                                    : std::vector<std::string>{"silence", "serve"});
  service.when_down = when_down.text == "serve" ? WhenDown::serve : WhenDown::silence;
  if (service.when_down == WhenDown::serve && !service.serves())
    table.fail(when_down.line, R"(when_down = "serve" needs unaware = "serve")");
}

void read_activation(ConfigTable& table, ServiceConfig& service) {
  ActivationSettings& settings = service.activation;
  settings.syns_per_s = static_cast<double>(table.integer_or(
      "attack_syns_per_s", static_cast<std::int64_t>(settings.syns_per_s), 1, kAttackSynsMax));
  settings.incomplete_percent = static_cast<double>(table.integer_or(
      "attack_incomplete_percent", static_cast<std::int64_t>(settings.incomplete_percent), 1, 100));
  settings.hold_s = static_cast<double>(table.integer_or(
      "attack_hold_s", static_cast<std::int64_t>(settings.hold_s), 1, kAttackHoldMaxS));
}

void read_health(ConfigTable& table, ServiceConfig& service) {
  HealthSettings& health = service.health;
  service.checks_health = table.choice_or("health", {"tcp", "off"}).text == "tcp";
  health.interval_ms = static_cast<unsigned>(
      table.integer_or("health_interval_ms", health.interval_ms, 100, kHealthIntervalMaxMs));
  health.timeout_ms = static_cast<unsigned>(
      table.integer_or("health_timeout_ms", health.timeout_ms, 10, kHealthTimeoutMaxMs));
  health.rise =
      static_cast<unsigned>(table.integer_or("health_rise", health.rise, 1, kHealthCountMax));
  health.fall =
      static_cast<unsigned>(table.integer_or("health_fall", health.fall, 1, kHealthCountMax));
}

bool has_backend(const ServiceConfig& service, const std::string& pool, trap_family family) {
  return std::any_of(service.backends.begin(), service.backends.end(),
                     [&](const BackendConfig& backend) {
                       return backend.pool == pool && family_of(backend.endpoint.address) == family;
                     });
}

// docs/protocol.md 1: a redirect never changes the family. A service that serves need not redirect.
void check_families(ConfigTable& table, const ServiceConfig& service,
                    const std::vector<ConfigString>& addresses) {
  for (std::size_t i = 0; i < service.addresses.size() && !service.serves(); i++) {
    const trap_family family = family_of(service.addresses[i].address);
    if (!has_backend(service, "", family))
      table.fail(addresses[i].line,
                 fmt::format("address {} has no backend of its family: add an IPv{} backend",
                             addresses[i].text, static_cast<int>(family)));
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

} // namespace

ServiceConfig read_service(ConfigTable& table, PublicAddresses& taken) {
  ServiceConfig service;
  service.name = read_service_name(table).text;
  const std::vector<ConfigString> addresses = read_addresses(table, service, taken);
  service.backends = read_backends(table);
  read_manner(table, service);
  service.offer = table.boolean_or("offer", true);
  read_activation(table, service);
  service.syn_acks_per_s =
      static_cast<std::uint64_t>(table.integer_or("syn_acks_per_s", 0, 0, kRateMax));
  read_health(table, service);
  service.policies = std::make_shared<const PolicyConfig>(read_policies(table));
  table.reject_unknown_keys();
  check_families(table, service, addresses);
  check_policies(table, service);
  return service;
}

} // namespace trap::server
