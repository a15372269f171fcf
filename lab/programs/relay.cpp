// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/relay.h"

#include <fmt/format.h>

#include "lab/hosts/addresses.h"
#include "lab/hosts/files.h"
#include "lab/hosts/listening.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;

// Calls `make` for each pair of a public end and the service's end behind it.
template <typename Make> std::string for_each_end(const std::vector<int>& ports, Make make) {
  std::string text;
  for (const int port : ports)
    for (const Family family : families)
      text += make(port, family, endpoint(addresses_of("trap").address(family), port),
                   endpoint(addresses_of("service").address(family), port));
  return text;
}

std::string nginx_text(const fs::path& directory, const std::vector<int>& ports) {
  return fmt::format(
      "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
      "user root;\nworker_processes 1;\ndaemon off;\n"
      "pid {0}/relay.pid;\nerror_log {0}/relay.log;\n"
      "events {{ worker_connections 4096; }}\n"
      "stream {{\n{1}}}\n",
      directory.string(),
      for_each_end(ports, [](int, Family, const std::string& from, const std::string& to) {
        return fmt::format("  server {{ listen {}; proxy_pass {}; }}\n", from, to);
      }));
}

std::string haproxy_text(const std::vector<int>& ports) {
  return "global\n  maxconn 2000\n"
         "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server "
         "60s\n" +
         for_each_end(ports,
                      [](int port, Family family, const std::string& from, const std::string& to) {
                        return fmt::format("listen port-{}-{}\n  bind {}\n  server service {}\n",
                                           port, name_of(family), from, to);
                      });
}

Command nginx_command(const Host& host, const fs::path& file) {
  return host.command({"nginx", "-p", host.directory().string(), "-c", file.string(), "-e",
                       (host.directory() / "relay.log").string()});
}

} // namespace

std::string_view name_of(RelayKind kind) {
  switch (kind) {
  case RelayKind::nginx:
    return "nginx";
  case RelayKind::haproxy:
    return "haproxy";
  case RelayKind::none:
    break;
  }
  return "none";
}

Result<Relay> Relay::start(const Host& host, RelayKind kind, const std::vector<int>& ports) {
  const bool with_nginx = kind == RelayKind::nginx;
  const fs::path file = host.directory() / "relay.conf";
  if (auto written =
          write_text(file, with_nginx ? nginx_text(host.directory(), ports) : haproxy_text(ports));
      !written)
    return written.error();
  Command command = with_nginx ? nginx_command(host, file)
                               : host.command({"haproxy", "-db", "-f", file.string()});
  command.log = host.directory() / "relay-output.log";
  auto process = Process::start(command);
  if (!process)
    return process.error();
  Relay relay{std::move(*process)};
  for (const int port : ports)
    for (const Family family : families)
      if (auto listens = wait_until_accepting(host, addresses_of("trap").address(family), port);
          !listens)
        return Error{fmt::format("relay {}: {}; see {}", name_of(kind), listens.error().message,
                                 command.log.string())};
  return relay;
}

} // namespace trap::lab
