// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/databases.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <system_error>

#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "lab/hosts/listening.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds cluster_deadline{60000}, stop_deadline{10000};
constexpr const char* database_user = "postgres";

// Debian keeps each version's programs in a directory of its own.
std::optional<fs::path> postgres_programs() {
  std::error_code ignored;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", ignored))
    if (fs::exists(version.path() / "bin/postgres", ignored) &&
        fs::exists(version.path() / "bin/initdb", ignored))
      return version.path() / "bin";
  return std::nullopt;
}

std::vector<std::string> as_database_user(std::vector<std::string> arguments) {
  std::vector<std::string> all = {"setpriv", fmt::format("--reuid={}", database_user),
                                  fmt::format("--regid={}", database_user), "--clear-groups"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

Result<fs::path> make_directory() {
  std::string name = "/tmp/trap-lab-postgres-XXXXXX";
  const passwd* user = getpwnam(database_user);
  if (user == nullptr)
    return Error{fmt::format("no user {}: run scripts/setup.sh", database_user)};
  if (mkdtemp(name.data()) == nullptr || chown(name.c_str(), user->pw_uid, user->pw_gid) != 0)
    return Error{fmt::format("cannot make a directory for PostgreSQL: {}", error_text(errno))};
  return fs::path{name};
}

void remove_directory(const fs::path& directory) {
  std::error_code ignored;
  if (!directory.empty())
    fs::remove_all(directory, ignored);
}

Result<Process> start_cluster(const Host& host, int port, const fs::path& programs,
                              const fs::path& directory) {
  const std::string cluster = (directory / "cluster").string();
  auto made =
      run_checked(host.command(as_database_user({(programs / "initdb").string(), "--pgdata",
                                                 cluster, "--auth=trust", "--no-sync", "--locale=C",
                                                 "--encoding=UTF8", "--username=postgres"})),
                  cluster_deadline);
  if (!made)
    return made.error();
  std::ofstream access{directory / "cluster/pg_hba.conf", std::ios::app};
  if (!(access << "host all all all trust\n").flush())
    return Error{"cannot write to PostgreSQL's pg_hba.conf"};
  Command command = host.command(as_database_user(
      {(programs / "postgres").string(), "-D", cluster, "-p", std::to_string(port), "-h", "*", "-k",
       directory.string(), "-c", "fsync=off", "-c", "max_connections=50"}));
  command.log = host.directory() / "postgres.log";
  return Process::start(command);
}

} // namespace

Result<Process> start_redis(const Host& host, int port) {
  Command command = host.command({"redis-server", "--port", std::to_string(port), "--bind",
                                  "0.0.0.0", "::", "--protected-mode", "no", "--save", "",
                                  "--appendonly", "no", "--dir", host.directory().string()});
  command.log = host.directory() / "redis.log";
  auto process = Process::start(command);
  if (!process)
    return process.error();
  if (auto listens = wait_until_accepting(host, "127.0.0.1", port); !listens)
    return Error{
        fmt::format("redis-server: {}; see {}", listens.error().message, command.log.string())};
  return process;
}

Result<Postgres> Postgres::start(const Host& host, int port) {
  const auto programs = postgres_programs();
  if (!programs)
    return Error{"no PostgreSQL below /usr/lib/postgresql: run scripts/setup.sh"};
  auto directory = make_directory();
  if (!directory)
    return directory.error();
  auto process = start_cluster(host, port, *programs, *directory);
  if (!process) {
    remove_directory(*directory);
    return process.error();
  }
  Postgres postgres{*directory, std::move(*process)};
  if (auto listens = wait_until_accepting(host, "127.0.0.1", port); !listens)
    return Error{fmt::format("postgres: {}; see {}", listens.error().message,
                             (host.directory() / "postgres.log").string())};
  return postgres;
}

Postgres::Postgres(Postgres&& other) noexcept
    : directory_(std::move(other.directory_)), process_(std::move(other.process_)) {
  other.directory_.clear();
}

Postgres::~Postgres() {
  if (directory_.empty())
    return;
  process_.stop(SIGINT, stop_deadline); // PostgreSQL's fast shutdown
  remove_directory(directory_);
}

} // namespace trap::lab
