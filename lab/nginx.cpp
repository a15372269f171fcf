// SPDX-License-Identifier: Apache-2.0
#include "lab/nginx.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "lab/files.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// `reuseport` and a raised backlog are left out on purpose: the backlogs are what a stock nginx has.
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

bool port_answers(const Host& host, int port) {
  const InHost inside{host};
  const Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return inside.entered() && connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool wait_for_port(const Host& host, int port, milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (!port_answers(host, port))
    if (std::chrono::steady_clock::now() > until || !sleep_for(milliseconds{20}))
      return false;
  return true;
}

} // namespace

Result<Nginx> Nginx::start(const Host& host, const std::vector<int>& ports) {
  const fs::path prefix = host.directory() / "nginx";
  if (auto prepared = prepare(host, prefix, ports); !prepared)
    return prepared.error();
  Command command =
      host.command({"nginx", "-p", prefix.string(), "-c", (prefix / "nginx.conf").string(), "-e", (prefix / "error.log").string()});
  command.log = prefix / "output.log";
  auto process = Process::start(command);
  if (!process)
    return process.error();
  Nginx nginx{prefix, std::move(*process)};
  for (const int port : ports)
    if (!wait_for_port(host, port, milliseconds{10000}))
      return Error{
          fmt::format("nginx on {} does not accept connections on port {}; see {}", host.name(), port, (prefix / "error.log").string())};
  return nginx;
}

} // namespace trap::lab
