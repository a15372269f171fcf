// SPDX-License-Identifier: Apache-2.0
// Defences of a web server on the host "plain", beside the kernel's SYN cookies.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lab/deployment/daemons.h"
#include "lab/network/topology.h"
#include "runtime/result.h"

namespace trap::lab {

// SYNPROXY for port 80 in front of the host's own listener, as nft reads it.
std::string_view nft_synproxy_rules();

// The rules of a host, which are flushed when this ends. nft must be installed.
class NftRules {
public:
  explicit NftRules(const Host& host) : host_(host) {}
  [[nodiscard]] Result<void> load(std::string_view rules) const;
  ~NftRules();
  NftRules(const NftRules&) = delete;
  NftRules& operator=(const NftRules&) = delete;

private:
  const Host& host_;
};

// SYNPROXY on a host, for as long as it is held.
Result<std::shared_ptr<NftRules>> put_synproxy_before(const Host& host);

// trap-server on "plain", which serves all clients of the web server there, at peace too. It is
// detached at the end.
class TrapOnPlain {
public:
  // `keys`: more of server.toml, before its service. `activate`: its key, "always" or "attack".
  static Result<std::unique_ptr<TrapOnPlain>>
  start(const Topology& topology, const std::string& keys, std::string_view activate = "always");
  ~TrapOnPlain();
  TrapOnPlain(const TrapOnPlain&) = delete;
  TrapOnPlain& operator=(const TrapOnPlain&) = delete;

  Daemon& daemon() { return *daemon_; }

private:
  explicit TrapOnPlain(const Topology& topology) : topology_(topology) {}
  Result<void> start_daemon(const std::string& keys, std::string_view activate);
  const Topology& topology_;
  std::optional<Daemon> daemon_;
};

} // namespace trap::lab
