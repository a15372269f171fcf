// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/running/client_reload.h"

#include <fmt/core.h>

#include "client/daemon/redirects/held_redirects.h"

namespace trap::client {

Result<std::unique_ptr<ActiveConfiguration>> ClientReload::read(const ActiveConfiguration& now) {
  auto config = read_client_config(now.config.part.path);
  if (!config)
    return config.error();
  return std::make_unique<ActiveConfiguration>(ActiveConfiguration{std::move(*config)});
}

Result<void> ClientReload::plan(const ActiveConfiguration& now, ActiveConfiguration& next) {
  return next.config.renew && !now.config.renew ? client_.renewer.open() : Result<void>{};
}

// Redirects that were learnt under the former policy, and that the new one forbids, are forgotten;
// and so is what targets did that need not consent now.
Result<void> ClientReload::apply(const ActiveConfiguration& now, const ActiveConfiguration& next) {
  const auto is_forbidden = [this](const trap_address&, const Endpoint& service,
                                   const Endpoint& backend) {
    return !may_redirect(client_.fds.trust, *client_.settings, service, backend);
  };
  auto published = publish_policy(client_, next.config);
  auto forgotten = published ? forget_redirects(client_.fds.redirects, is_forbidden)
                             : Result<std::size_t>(published.error());
  if (!forgotten) {
    static_cast<void>(publish_policy(client_, now.config));
    return forgotten.error();
  }
  forgotten_ = *forgotten;
  auto unconsented = forget_unconsented(client_.fds.fallbacks);
  return unconsented ? Result<void>{} : Result<void>{unconsented.error()};
}

void ClientReload::settle(const ActiveConfiguration&, const ActiveConfiguration& now, Changes&) {
  interfaces_.follow();
  if (!now.config.renew)
    client_.renewer.stop(client_.fds.pending);
}

std::string ClientReload::describe(const Changes& changes) {
  return describe_changes(changes) +
         (forgotten_
              ? fmt::format("; {} redirect(s) forgotten that are no longer allowed", forgotten_)
              : "");
}

} // namespace trap::client
