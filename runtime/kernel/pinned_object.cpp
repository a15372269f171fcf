// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/pinned_object.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <linux/magic.h>
#include <sstream>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "runtime/kernel/bpf_map.h"
#include "runtime/log.h"

namespace trap {
namespace {

constexpr char default_bpffs[] = "/sys/fs/bpf";

bool is_bpffs(const std::string& path) {
  struct statfs info;
  return statfs(path.c_str(), &info) == 0 &&
         static_cast<unsigned long>(info.f_type) == BPF_FS_MAGIC;
}

int log_libbpf(enum libbpf_print_level, const char* format, va_list arguments) {
  if (!log::is_debug())
    return 0;
  char* text = nullptr;
  int length = vasprintf(&text, format, arguments);
  if (length < 0)
    return 0;
  std::istringstream lines(std::string(text, static_cast<std::size_t>(length)));
  free(text);
  for (std::string line; std::getline(lines, line);)
    log::debug("{}", line);
  return length;
}

// Everything in pin_dir is ours and goes with --detach, so it must not be the root that others
// share.
bool is_mount_root(const std::string& path) {
  struct stat here, above;
  return stat(path.c_str(), &here) == 0 && stat((path + "/..").c_str(), &above) == 0 &&
         here.st_dev != above.st_dev;
}

// Another user who can put maps, programs or links into the directory, or exchange it, decides what
// this daemon takes over. Above it that takes a directory without the sticky bit.
Result<void> check_owners(const std::string& pin_dir) {
  const auto deepest = std::filesystem::path(pin_dir + "/").lexically_normal().parent_path();
  for (std::filesystem::path at = deepest;; at = at.parent_path()) {
    struct stat info;
    if (stat(at.c_str(), &info) != 0)
      return Error{fmt::format("pin_dir {}: cannot look at {}: {}", pin_dir, at.string(),
                               error_text(errno))};
    const bool is_open =
        info.st_mode & (S_IWGRP | S_IWOTH) && (at == deepest || !(info.st_mode & S_ISVTX));
    if (is_open || (info.st_uid != 0 && info.st_uid != geteuid()))
      return Error{fmt::format("pin_dir {}: {} {}, who could put other maps there: {} {}", pin_dir,
                               at.string(),
                               is_open ? "can be changed by others"
                                       : fmt::format("belongs to user {}", info.st_uid),
                               is_open ? "chmod go-w" : "chown root", at.string()),
                   ExitCode::usage};
    if (at == at.parent_path())
      return {};
  }
}

Result<void> mount_bpffs_if_missing(const std::string& pin_dir) {
  if (!pin_dir.starts_with(std::string(default_bpffs) + "/") || is_bpffs(default_bpffs))
    return {};
  if (mount("bpf", default_bpffs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
    return Error{fmt::format("cannot mount a bpffs at {}: {}: run mount -t bpf bpf {} as root",
                             default_bpffs, error_text(errno), default_bpffs)};
  return {};
}

Result<void> make_directories(const std::string& path, Undo& undo) {
  std::string done;
  for (const auto& step : std::filesystem::path(path).lexically_normal()) {
    if (step.empty())
      continue;
    if (!done.empty() && done != "/")
      done += '/';
    done += step.string();
    if (done == "/")
      continue;
    if (mkdir(done.c_str(), 0700) == 0)
      undo.add([done] { rmdir(done.c_str()); });
    else if (errno != EEXIST)
      return Error{fmt::format("cannot make directory {}: {}", done, error_text(errno))};
  }
  return {};
}

} // namespace

Error map_error(const char* map, const char* what, int error_number) {
  return Error{fmt::format("cannot {} BPF map \"{}\": {}", what, map, error_text(error_number))};
}

void redirect_libbpf_messages() {
  libbpf_set_print(log_libbpf);
}

Result<Fd> lock_pin_dir(const std::string& pin_dir, const std::string& program) {
  Fd directory(open(pin_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory && errno == ENOENT)
    return directory;
  if (!directory)
    return Error{fmt::format("cannot open pin_dir {}: {}", pin_dir, error_text(errno))};
  if (flock(directory.get(), LOCK_EX | LOCK_NB) != 0)
    return Error{fmt::format("another {} runs with pin_dir {}: stop it first", program, pin_dir)};
  return directory;
}

Result<Fd> open_pin_dir(const std::string& pin_dir, const std::string& program, Undo& undo) {
  if (auto mounted = mount_bpffs_if_missing(pin_dir); !mounted)
    return mounted.error();
  if (auto made = make_directories(pin_dir, undo); !made)
    return made.error();
  if (!is_bpffs(pin_dir))
    return Error{fmt::format("pin_dir {} is not on a bpffs: mount one there (mount -t bpf bpf "
                             "DIRECTORY), or use /sys/fs/bpf",
                             pin_dir)};
  if (is_mount_root(pin_dir))
    return Error{
        fmt::format(
            "pin_dir {} is the bpffs itself: name a directory below it, for this part alone",
            pin_dir),
        ExitCode::usage};
  if (auto safe = check_owners(pin_dir); !safe)
    return safe.error();
  return lock_pin_dir(pin_dir, program);
}

std::vector<Pin> pins_of_maps(const bpf_object* object, const std::string& pin_dir) {
  std::vector<Pin> pins;
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (!bpf_map__is_internal(map))
      pins.push_back({pin_dir + "/" + bpf_map__name(map), bpf_map__fd(map)});
  }
  return pins;
}

Result<void> pin(int fd, const std::string& path) {
  std::string temporary = path + "_new"; // renamed over the old one, so that there is always a pin;
                                         // bpffs forbids dots in names
  unlink(temporary.c_str());
  if (int failed = bpf_obj_pin(fd, temporary.c_str()))
    return Error{fmt::format("cannot pin at {}: {}", path, error_text(failed))};
  if (rename(temporary.c_str(), path.c_str()) == 0)
    return {};
  Error error{fmt::format("cannot pin at {}: {}", path, error_text(errno))};
  unlink(temporary.c_str());
  return error;
}

Result<void> pin(int fd, const std::string& path, const Fd& earlier, Undo& undo) {
  if (auto pinned = pin(fd, path); !pinned)
    return pinned.error();
  undo.add([path, &earlier] {
    unlink(path.c_str());
    if (earlier)
      bpf_obj_pin(earlier.get(), path.c_str());
  });
  return {};
}

std::vector<std::string> list_pins(const std::string& pin_dir) {
  std::vector<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(pin_dir, failed), end; !failed && at != end;
       at.increment(failed))
    names.push_back(at->path().filename().string());
  return names;
}

Result<void> remove_pins(const std::string& pin_dir) {
  for (const std::string& name : list_pins(pin_dir)) {
    std::string path = fmt::format("{}/{}", pin_dir, name);
    if (unlink(path.c_str()) != 0)
      return Error{fmt::format("cannot remove pin {}: {}", path, error_text(errno))};
  }
  if (rmdir(pin_dir.c_str()) != 0 && errno != ENOENT)
    return Error{fmt::format("cannot remove directory {}: {}", pin_dir, error_text(errno))};
  return {};
}

} // namespace trap
