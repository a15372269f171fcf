// SPDX-License-Identifier: Apache-2.0
#include "runtime/whole_file.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace trap {
namespace {

constexpr int new_name_tries = 100;

std::filesystem::path folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

// Short, so that a name as long as the file system has them does not grow.
std::string interim_name(const std::string& path) {
  std::uint64_t number = 0;
  if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
    number = static_cast<std::uint64_t>(getpid());
  return folder_of(path) / fmt::format(".trap-{:016x}", number);
}

Result<void> write_to(const Fd& fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t went = write(fd.get(), bytes.data(), bytes.size());
    if (went < 0 && errno == EINTR)
      continue;
    if (went < 0)
      return Error{fmt::format("{}: cannot write: {}", path, error_text(errno))};
    bytes.remove_prefix(static_cast<std::size_t>(went));
  }
  return {};
}

} // namespace

WholeFile::WholeFile(std::string path, std::string never)
    : path_(std::move(path)), never_(std::move(never)) {}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : path_(std::move(other.path_)), never_(std::move(other.never_)),
      interim_(std::exchange(other.interim_, {})), fd_(std::move(other.fd_)) {}

WholeFile::~WholeFile() {
  if (!interim_.empty())
    unlink(interim_.c_str());
}

Error WholeFile::failed(const char* what) const {
  return Error{fmt::format("{}: cannot {}: {}", path_, what, error_text(errno))};
}

Error WholeFile::exists() const {
  return Error{fmt::format("{}: exists already, and {}: name another file, or move that one away",
                           path_, never_)};
}

Result<WholeFile> WholeFile::open_for(const std::string& path, mode_t mode, std::string never) {
  WholeFile file(path, std::move(never));
  struct stat there;
  if (!file.never_.empty() && lstat(path.c_str(), &there) == 0)
    return file.exists();
  for (int i = 0; i < new_name_tries && !file.fd_; i++) {
    std::string name = interim_name(path);
    file.fd_ = Fd(open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.fd_)
      file.interim_ = std::move(name);
    else if (errno != EEXIST)
      break;
  }
  if (!file.fd_)
    return file.failed("make the file");
  return file;
}

Result<WholeFile> WholeFile::make_new(const std::string& path, mode_t mode,
                                      const std::string& never) {
  return open_for(path, mode, never);
}

Result<WholeFile> WholeFile::make(const std::string& path, mode_t mode) {
  return open_for(path, mode, "");
}

Result<void> WholeFile::append(std::string_view bytes) {
  return write_to(fd_, bytes, path_);
}

// A link is refused where a file is, and a file system without links has its own way to refuse it.
bool WholeFile::takes_its_name() const {
  if (never_.empty())
    return rename(interim_.c_str(), path_.c_str()) == 0;
  if (link(interim_.c_str(), path_.c_str()) == 0)
    return unlink(interim_.c_str()) == 0;
  return errno != EEXIST &&
         renameat2(AT_FDCWD, interim_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0;
}

Result<void> WholeFile::finish() {
  if (fsync(fd_.get()) != 0 && errno != EINVAL)
    return failed("write");
  if (!takes_its_name())
    return errno == EEXIST && !never_.empty() ? exists() : failed("make the file");
  interim_.clear();
  const Fd folder(open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder)
    static_cast<void>(fsync(folder.get())); // of the name: not every file system has it
  return {};
}

namespace {

// What is no file, as a terminal or /dev/null, is not to be replaced by one.
Result<void> write_into(const std::string& path, std::string_view bytes) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd)
    return Error{fmt::format("{}: cannot open it: {}", path, error_text(errno))};
  return write_to(fd, bytes, path);
}

} // namespace

Result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode) {
  std::error_code failed;
  const auto real = std::filesystem::canonical(path, failed);
  struct stat there;
  if (stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode))
    return write_into(path, bytes);
  auto file = WholeFile::make(failed ? path : real.string(), mode);
  if (!file)
    return file.error();
  if (auto written = file->append(bytes); !written)
    return written;
  return file->finish();
}

} // namespace trap
