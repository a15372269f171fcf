// SPDX-License-Identifier: Apache-2.0
// A connection of the client is silent while so many others come that its tables have forgotten it; then it goes on.
#include <fmt/format.h>

#include <bpf/bpf.h>

#include "lab/idle_connection.h"
#include "lab/scenarios/plays.h"

namespace trap::lab::plays {
namespace {

constexpr std::uint32_t newer_connections = 300'000; // the tables have 65536 places

// Connections that nobody makes, put into the client's pinned table as its programs do.
Result<void> crowd(const Host& client, std::string_view map) {
  const std::string path = (client.bpf_directory() / "client" / map).string();
  const Fd table{bpf_obj_get(path.c_str())};
  bpf_map_info info{};
  __u32 length = sizeof info;
  if (!table || bpf_obj_get_info_by_fd(table.get(), &info, &length) != 0)
    return Error{"cannot open " + path + ": " + error_text(errno)};
  std::vector<std::uint8_t> key(info.key_size), value(info.value_size);
  for (std::uint32_t number = 0; number < newer_connections; number++) {
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&number), sizeof number, key.begin());
    if (const int failed = bpf_map_update_elem(table.get(), key.data(), value.data(), BPF_ANY))
      return Error{"cannot write " + path + ": " + error_text(failed)};
  }
  return {};
}

} // namespace

void crowded_client(Scene& scene) {
  std::vector<IdleConnection> connections;
  for (const Family family : families) {
    auto opened = IdleConnection::start(scene.host("client"), family);
    if (!scene.check(static_cast<bool>(opened), fmt::format("{}: a connection is opened and says nothing", name_of(family)),
                     opened ? "" : opened.error().message))
      return;
    connections.push_back(std::move(*opened));
  }
  for (const std::string_view map : {"to_backend", "to_public", "pending", "redirects"})
    scene.done(crowd(scene.host("client"), map), fmt::format("{} newer entries come into {}", newer_connections, map));
  for (std::size_t i = 0; i < connections.size(); i++) {
    const auto answer = connections[i].speak();
    scene.check(answer && answer->exit_code == 0 && answer->output.find("200 OK") != std::string::npos,
                fmt::format("{}: it speaks and is answered", name_of(families[i])),
                !answer ? answer.error().message : fmt::format("exit code {}: {}{}", answer->exit_code, answer->output, answer->errors));
    scene.expect_whole(scene.visit_service(families[i], "/5mb.bin"), families[i], download_bytes,
                       fmt::format("{}, a new connection", name_of(families[i])));
  }
}

} // namespace trap::lab::plays
