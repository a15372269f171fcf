// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/plain_defences.h"

#include <fmt/format.h>

namespace trap::lab {
namespace {

constexpr std::chrono::milliseconds nft_deadline{10000};

std::string server_text_of_plain(const std::string& keys, std::string_view activate) {
  const HostAddresses& plain = addresses_of("plain");
  return fmt::format(
      "xdp_mode = \"native\"\n{}[[service]]\nname = \"web\"\naddresses = [\"{}\", \"{}\"]\n"
      "activate = \"{}\"\n",
      keys, endpoint(plain.ipv4, service_port), endpoint(plain.ipv6, service_port), activate);
}

} // namespace

std::string_view nft_synproxy_rules() {
  return R"(
    table inet bench {
      chain raw {
        type filter hook prerouting priority raw; policy accept;
        tcp dport 80 tcp flags & (fin | syn | rst | ack) == syn notrack
      }
      chain input {
        type filter hook input priority filter; policy accept;
        tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
        ct state invalid drop
      }
    })";
}

Result<void> NftRules::load(std::string_view rules) const {
  Command command = host_.command({"nft", "-f", "-"});
  command.input = rules;
  if (auto loaded = run_checked(command, nft_deadline); !loaded)
    return loaded.error();
  return {};
}

NftRules::~NftRules() {
  Command flush = host_.command({"nft", "flush", "ruleset"});
  flush.for_cleanup = true;
  static_cast<void>(run(flush, nft_deadline));
}

Result<std::shared_ptr<NftRules>> put_synproxy_before(const Host& host) {
  auto rules = std::make_shared<NftRules>(host);
  if (auto loaded = rules->load(nft_synproxy_rules()); !loaded)
    return loaded.error();
  // The setting is there once conntrack is.
  if (auto set = host.set("netfilter/nf_conntrack_tcp_loose", "0"); !set)
    return set.error();
  return rules;
}

Result<std::unique_ptr<TrapOnPlain>>
TrapOnPlain::start(const Topology& topology, const std::string& keys, std::string_view activate) {
  std::unique_ptr<TrapOnPlain> trap{new TrapOnPlain(topology)};
  if (auto started = trap->start_daemon(keys, activate); !started)
    return started.error();
  return trap;
}

// Kernels before 6.9 accept only their own cookies, and those need both settings.
Result<void> TrapOnPlain::start_daemon(const std::string& keys, std::string_view activate) {
  const Host& plain = topology_.host("plain");
  for (const char* sysctl : {"ipv4/tcp_syncookies", "ipv4/tcp_timestamps"})
    if (auto set = plain.set(sysctl, "2"); !set)
      return set;
  if (auto attached = topology_.attach_pass_program("plain"); !attached)
    return attached;
  auto prepared = Daemon::prepare(DaemonKind::server, plain, server_text_of_plain(keys, activate));
  if (!prepared)
    return prepared.error();
  daemon_.emplace(std::move(*prepared));
  return daemon_->start();
}

TrapOnPlain::~TrapOnPlain() {
  if (daemon_)
    static_cast<void>(daemon_->detach());
  static_cast<void>(topology_.detach_pass_program("plain"));
}

} // namespace trap::lab
