// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/control_access.h"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "runtime/control/shared_answers.h"
#include "runtime/fd.h"
#include "runtime/json_text.h"

namespace trap {
namespace {

constexpr mode_t shared_mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP;
constexpr std::size_t group_entry_bytes = 1 << 16; // of a group with many members

// The first directory above `path` that the group's members cannot go through. One with an access
// list is not judged: its mode does not tell.
std::string shut_directory(const std::filesystem::path& path, gid_t group) {
  std::string found;
  for (auto at = path.parent_path(); found.empty(); at = at.parent_path()) {
    struct stat info;
    const bool has_list = getxattr(at.c_str(), "system.posix_acl_access", nullptr, 0) > 0;
    if (!has_list && stat(at.c_str(), &info) == 0 && !(info.st_mode & S_IXOTH) &&
        !(info.st_gid == group && info.st_mode & S_IXGRP))
      found = at;
    if (at == at.parent_path())
      break;
  }
  return found;
}

} // namespace

Result<gid_t> find_group(const std::string& group) {
  std::vector<char> room(group_entry_bytes);
  struct group entry = {};
  struct group* found = nullptr;
  int failed = 0;
  while ((failed = getgrnam_r(group.c_str(), &entry, room.data(), room.size(), &found)) == ERANGE)
    room.resize(room.size() * 2);
  if (found)
    return found->gr_gid;
  gid_t number = 0;
  const auto [end, wrong] = std::from_chars(group.data(), group.data() + group.size(), number);
  if (wrong == std::errc() && end == group.data() + group.size() && number != gid_t(-1))
    return number;
  return Error{fmt::format("control_group: this host has no group \"{}\"{}: make it (groupadd "
                           "--system {}), or name another",
                           group, failed && failed != ENOENT ? ": " + error_text(failed) : "",
                           group),
               ExitCode::usage};
}

// By a descriptor, so that the file which was looked at is the one that changes.
Result<void> open_to_group(const std::string& path, gid_t group) {
  const Fd fd(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0)
    return Error{fmt::format("cannot open control socket {}: {}", path, error_text(errno))};
  if (!S_ISSOCK(info.st_mode))
    return Error{fmt::format("control socket {}: something else is there", path)};
  if (info.st_gid != group && fchownat(fd.get(), "", uid_t(-1), group, AT_EMPTY_PATH) != 0)
    return Error{fmt::format("cannot give control socket {} to group {}: {}", path, group,
                             error_text(errno))};
  if (chmod(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), shared_mode) != 0)
    return Error{
        fmt::format("cannot change the mode of control socket {}: {}", path, error_text(errno))};
  return {};
}

std::string reason_of_shut_socket(const std::string& path, const std::string& name, gid_t group) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0)
    return fmt::format("control socket {}: {}: restart the daemon", path, error_text(errno));
  if (info.st_gid != group || (info.st_mode & shared_mode) != shared_mode)
    return fmt::format("control_group: control socket {} is not open to group {}: its unit lacks "
                       "ExecStartPost=-+trap-PART --share-control, which does it",
                       path, name);
  if (const std::string shut = shut_directory(path, group); !shut.empty())
    return fmt::format("control_group: the members of group {} cannot reach control socket {}: "
                       "directory {} keeps them out: chmod o+x {}",
                       name, path, shut, shut);
  return "";
}

bool is_for_root_alone(const HttpRequest& request) {
  if (request.method != "POST")
    return false;
  const bool reads = request.path == "/explain" || request.path == "/suspects";
  return !reads && !request.path.starts_with("/knock/");
}

bool is_from_root(const HttpRequest& request) {
  return request.peer_uid && (*request.peer_uid == 0 || *request.peer_uid == geteuid());
}

HttpAnswer refuse_to_user(const HttpRequest& request) {
  return {403, json_type,
          json_text(nlohmann::json{
              {"error", fmt::format("{} is for root alone: members of control_group may "
                                    "only read: run as root",
                                    request.path)}}) +
              "\n"};
}

std::string without_secrets(const std::string& explanation) {
  auto json = nlohmann::ordered_json::parse(explanation, nullptr, false);
  if (!json.is_object())
    return "{}";
  if (json.erase("answer") + json.erase("becomes") != 0)
    json["withheld"] = "the packet that comes of it may hold a cookie or a ticket: run as root";
  return json_text(json);
}

} // namespace trap
