// SPDX-License-Identifier: Apache-2.0
// A connection of the client is silent while so many others come that its tables have forgotten it;
// then it goes on.
#include <algorithm>

#include <fmt/format.h>
#include <sched.h>

#include <bpf/bpf.h>

#include "lab/programs/idle_connection.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

// The tables have 65536 places at most, and spare entries in use for a while.
constexpr std::uint32_t newer_connections = 100'000;
constexpr int most_rounds = 30;

// A table of the client's programs, as they have pinned it.
struct Table {
  Fd fd;
  bpf_map_info info{};
  std::uint32_t next = 0;

  static Result<Table> open(const Host& client, std::string_view map) {
    const std::string path = (client.bpf_directory() / "client" / map).string();
    Table table{Fd{bpf_obj_get(path.c_str())}};
    __u32 length = sizeof table.info;
    if (!table.fd || bpf_obj_get_info_by_fd(table.fd.get(), &table.info, &length) != 0)
      return Error{"cannot open " + path + ": " + error_text(errno)};
    return table;
  }

  // Invented connections, other ones each time. Each is written twice, which makes it one
  // that was used: the others are forgotten before it. The CPU matters: an LRU table keeps
  // the newest entries of each CPU in a list that only this CPU hands on.
  [[nodiscard]] Result<void> crowd(int cpu) {
    cpu_set_t one_cpu;
    CPU_ZERO(&one_cpu);
    CPU_SET(cpu, &one_cpu);
    if (sched_setaffinity(0, sizeof one_cpu, &one_cpu) != 0)
      return Error{fmt::format("cannot run on CPU {}: {}", cpu, error_text(errno))};
    std::vector<std::uint8_t> key(info.key_size), value(info.value_size);
    for (const std::uint32_t end = next + newer_connections; next < end; next++) {
      std::copy_n(reinterpret_cast<const std::uint8_t*>(&next), sizeof next, key.begin());
      for (int time = 0; time < 2; time++)
        if (const int failed = bpf_map_update_elem(fd.get(), key.data(), value.data(), BPF_ANY))
          return Error{std::string{"cannot write "} + info.name + ": " + error_text(failed)};
    }
    return {};
  }

  // Entries that crowd() did not make: whose values are not zero.
  [[nodiscard]] int others() const {
    std::vector<std::uint8_t> key(info.key_size), value(info.value_size);
    int count = 0;
    for (const void* before = nullptr; bpf_map_get_next_key(fd.get(), before, key.data()) == 0;
         before = key.data())
      if (bpf_map_lookup_elem(fd.get(), key.data(), value.data()) == 0)
        count += std::ranges::any_of(value, [](std::uint8_t byte) { return byte != 0; }) ? 1 : 0;
    return count;
  }
};

void forget_everything(Scene& scene, std::string_view map) {
  auto table = Table::open(scene.host("client"), map);
  auto crowded = table ? Result<void>{} : Result<void>{table.error()};
  int others = 1;
  cpu_set_t all_cpus;
  sched_getaffinity(0, sizeof all_cpus, &all_cpus);
  for (int round = 0; crowded && others > 0 && round < most_rounds; round++) {
    for (int cpu = 0; crowded && cpu < CPU_SETSIZE; cpu++)
      if (CPU_ISSET(cpu, &all_cpus))
        crowded = table->crowd(cpu);
    others = table->others();
  }
  sched_setaffinity(0, sizeof all_cpus, &all_cpus);
  scene.done(crowded, fmt::format("newer entries come into {}", map));
  scene.check(others == 0, fmt::format("{} knows of no other connection", map),
              fmt::format("of {}", others));
}

void crowded_client(Scene& scene) {
  std::vector<IdleConnection> connections;
  for (const Family family : families) {
    auto opened = IdleConnection::start(scene.host("client"), family);
    if (!scene.check(static_cast<bool>(opened),
                     fmt::format("{}: a connection is opened and says nothing", name_of(family)),
                     opened ? "" : opened.error().message))
      return;
    connections.push_back(std::move(*opened));
  }
  for (const std::string_view map : {"to_backend", "to_public", "pending", "redirects"})
    forget_everything(scene, map);
  for (std::size_t i = 0; i < connections.size(); i++) {
    const auto answer = connections[i].speak();
    scene.check(
        answer && answer->exit_code == 0 && answer->output.find("200 OK") != std::string::npos,
        fmt::format("{}: it speaks and is answered", name_of(families[i])),
        !answer
            ? answer.error().message
            : fmt::format("exit code {}: {}{}", answer->exit_code, answer->output, answer->errors));
    scene.expect_whole(scene.visit_service(families[i], "/5mb.bin"), families[i], download_bytes,
                       fmt::format("{}, a new connection", name_of(families[i])));
  }
}

const Registration register_crowded_client{{
    .name = "crowded-client",
    .goal = "silent connections of the client outlive any number of new ones",
    .run_class = RunClass::busy,
    .play = crowded_client,
}};

} // namespace
} // namespace trap::lab
