// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/nginx.h"

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/hosts/listening.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;

// `reuseport` and a raised backlog are left out on purpose: the backlogs are what a stock nginx
// has.
std::string configuration(const fs::path& prefix, const std::vector<int>& ports) {
  std::string listens;
  for (const int port : ports)
    listens += fmt::format("    listen {0};\n    listen [::]:{0} ipv6only=on;\n", port);
  return fmt::format(R"(user root;
worker_processes 1;
daemon off;
pid {0}/nginx.pid;
error_log {0}/error.log;
events {{ worker_connections 4096; }}
http {{
  types {{ text/html html; text/css css; application/javascript js; image/svg+xml svg; }}
  access_log {0}/access.log;
  client_body_temp_path {0}/tmp/body;
  proxy_temp_path {0}/tmp/proxy;
  fastcgi_temp_path {0}/tmp/fastcgi;
  uwsgi_temp_path {0}/tmp/uwsgi;
  scgi_temp_path {0}/tmp/scgi;
  client_max_body_size 512m;
  sendfile on;
  server {{
{1}    root {0}/documents;
    location /slow/ {{ alias {0}/documents/; limit_rate_after 256k; limit_rate 1m; }}
    location /steady/ {{ alias {0}/documents/; limit_rate_after 256k; limit_rate 2m; }}
    location /brisk/ {{ alias {0}/documents/; limit_rate_after 1m; limit_rate 20m; }}
    location /crawl/ {{ alias {0}/documents/; limit_rate_after 256k; limit_rate 250k; }}
    location /upload/ {{ dav_methods PUT; }}
  }}
}}
)",
                     prefix.string(), listens);
}

Result<void> prepare(const Host& host, const fs::path& prefix, const std::vector<int>& ports) {
  std::error_code failed;
  fs::create_directories(prefix / "documents/upload", failed);
  fs::create_directories(prefix / "tmp", failed);
  if (failed)
    return Error{"cannot create " + prefix.string() + ": " + failed.message()};
  if (auto written = write_text(prefix / "nginx.conf", configuration(prefix, ports)); !written)
    return written;
  if (auto written = write_text(prefix / "documents/small.txt", host.name() + "\n"); !written)
    return written;
  return write_random_file(prefix / "documents/5mb.bin", download_bytes, 5);
}

} // namespace

Result<Nginx> Nginx::start(const Host& host, const std::vector<int>& ports) {
  const fs::path prefix = host.directory() / "nginx";
  if (auto prepared = prepare(host, prefix, ports); !prepared)
    return prepared.error();
  Command command =
      host.command({"nginx", "-p", prefix.string(), "-c", (prefix / "nginx.conf").string(), "-e",
                    (prefix / "error.log").string()});
  command.log = prefix / "output.log";
  auto process = Process::start(command);
  if (!process)
    return process.error();
  Nginx nginx{prefix, std::move(*process)};
  for (const int port : ports)
    if (auto listens = wait_until_accepting(host, "127.0.0.1", port); !listens)
      return Error{fmt::format("nginx: {}; see {}", listens.error().message,
                               (prefix / "error.log").string())};
  return nginx;
}

} // namespace trap::lab
