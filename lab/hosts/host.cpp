// SPDX-License-Identifier: Apache-2.0
#include "lab/hosts/host.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace trap::lab {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds ip_deadline{10000};
const fs::path namespaces = "/run/netns";

Error system_error(const std::string& what) {
  return Error{what + ": " + std::strerror(errno)};
}

Result<void> prepare_directory(const Host& host) {
  std::error_code failed;
  fs::create_directories(host.bpf_directory(), failed);
  if (failed)
    return Error{"cannot create " + host.bpf_directory().string() + ": " + failed.message()};
  fs::permissions(lab_directory, fs::perms::owner_all, failed);
  if (mount("bpf", host.bpf_directory().c_str(), "bpf", 0, "mode=0700") != 0)
    return system_error("cannot mount a BPF file system at " + host.bpf_directory().string());
  return {};
}

// Spoofed sources must reach their victim, and addresses must work at once.
Result<void> prepare_network(const Host& host) {
  constexpr std::pair<std::string_view, std::string_view> entries[] = {
      {"ipv4/conf/all/rp_filter", "0"},     {"ipv4/conf/default/rp_filter", "0"},
      {"ipv6/conf/all/disable_ipv6", "0"},  {"ipv6/conf/default/disable_ipv6", "0"},
      {"ipv6/conf/all/accept_dad", "0"},    {"ipv6/conf/default/accept_dad", "0"},
      {"ipv6/conf/default/accept_ra", "0"}, {"ipv6/conf/default/router_solicitations", "0"}};
  for (const auto& [entry, value] : entries)
    if (auto set = host.set(entry, value); !set)
      return set;
  return host.ip("link set lo up\n");
}

std::vector<std::string> existing_namespaces() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(namespaces, ignored))
    if (entry.path().filename().string().starts_with(namespace_prefix))
      names.push_back(entry.path().filename());
  return names;
}

// Processes whose network namespace is one of `inodes`.
std::vector<pid_t> processes_in(const std::set<ino_t>& inodes) {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    struct stat status {};
    if (pid > 0 && pid != getpid() && stat((entry.path() / "ns/net").c_str(), &status) == 0 &&
        inodes.contains(status.st_ino))
      found.push_back(pid);
  }
  return found;
}

void kill_processes_in(const std::vector<std::string>& names) {
  std::set<ino_t> inodes;
  for (const std::string& name : names)
    if (struct stat status{}; stat((namespaces / name).c_str(), &status) == 0)
      inodes.insert(status.st_ino);
  for (int attempt = 0; attempt < 100; attempt++) {
    const std::vector<pid_t> left = processes_in(inodes);
    if (left.empty())
      return;
    for (const pid_t pid : left)
      kill(pid, SIGKILL);
    usleep(20000);
  }
}

// Everything mounted below the lab's directory, deepest first.
void unmount_all() {
  std::ifstream mounts{"/proc/self/mounts"};
  std::vector<std::string> points;
  for (std::string device, point, rest; mounts >> device >> point && std::getline(mounts, rest);)
    if (point.starts_with(std::string{lab_directory} + "/"))
      points.push_back(point);
  for (auto point = points.rbegin(); point != points.rend(); ++point)
    umount2(point->c_str(), MNT_DETACH);
}

// iproute2 mounts /run/netns upon itself at first use; while it is empty the mount has no use.
void remove_empty_namespace_directory() {
  std::error_code failed;
  if (!fs::is_empty(namespaces, failed) || failed)
    return;
  umount2(namespaces.c_str(), 0);
  rmdir(namespaces.c_str());
}

} // namespace

Result<Host> Host::create(std::string_view name) {
  Host host;
  host.name_ = name;
  auto added = run_checked(
      Command{{"ip", "netns", "add", host.namespace_name()}, -1, {}, {}, false}, ip_deadline);
  if (!added)
    return added.error();
  auto opened = open(name);
  if (!opened)
    return opened;
  if (auto prepared = prepare_directory(*opened); !prepared)
    return prepared.error();
  if (auto prepared = prepare_network(*opened); !prepared)
    return prepared.error();
  return opened;
}

Result<Host> Host::open(std::string_view name) {
  Host host;
  host.name_ = name;
  host.namespace_ = Fd{::open((namespaces / host.namespace_name()).c_str(), O_RDONLY | O_CLOEXEC)};
  if (host.namespace_.get() < 0)
    return Error{"no host " + host.name_ + ": is a lab up? (trap-lab up)"};
  return host;
}

Command Host::command(std::vector<std::string> arguments) const {
  Command made;
  made.arguments = std::move(arguments);
  made.network_namespace = descriptor();
  return made;
}

Result<void> Host::ip(const std::string& lines, const std::string& family) const {
  Command batch =
      family.empty() ? command({"ip", "-batch", "-"}) : command({"ip", family, "-batch", "-"});
  batch.input = lines;
  auto done = run_checked(batch, ip_deadline);
  if (!done)
    return Error{name_ + ": " + done.error().message};
  return {};
}

Result<void> Host::set(std::string_view sysctl, std::string_view value) const {
  const InHost inside{*this};
  const std::string path = "/proc/sys/net/" + std::string{sysctl};
  const Fd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!inside.entered() || file.get() < 0 ||
      write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
    return system_error(name_ + ": cannot set " + path);
  return {};
}

Result<std::uint64_t> Host::received_packets(std::string_view interface) const {
  const InHost inside{*this};
  std::ifstream table{"/proc/thread-self/net/dev"};
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields{line};
    std::string device;
    std::uint64_t bytes = 0, packets = 0;
    fields >> device >> bytes >> packets;
    if (device == std::string{interface} + ":")
      return packets;
  }
  return Error{name_ + ": no interface " + std::string{interface}};
}

InHost::InHost(const Host& host) : home_{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)} {
  entered_ = home_.get() >= 0 && setns(host.descriptor(), CLONE_NEWNET) == 0;
}

InHost::~InHost() {
  if (entered_ && setns(home_.get(), CLONE_NEWNET) != 0)
    std::abort(); // going on in the wrong network would be worse
}

std::string master_key_file() {
  return (fs::path{lab_directory} / "trap/master.key").string();
}

std::string guard_key_file(std::string_view host) {
  return (fs::path{lab_directory} / host / "guard.key").string();
}

int remove_all_hosts() {
  const std::vector<std::string> names = existing_namespaces();
  kill_processes_in(names);
  for (const std::string& name : names) {
    Command removal{{"ip", "netns", "delete", name}, -1, {}, {}, true};
    [[maybe_unused]] const auto removed = run(removal, ip_deadline);
  }
  unmount_all();
  std::error_code ignored;
  fs::remove_all(lab_directory, ignored);
  if (!names.empty())
    remove_empty_namespace_directory();
  return static_cast<int>(names.size());
}

} // namespace trap::lab
