// SPDX-License-Identifier: Apache-2.0
// A file that is written whole or not at all: it has another name until all of it is on the disk. A
// full disk or a limit of its size leaves nothing in its place, nor does the end of the program.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

#include "runtime/fd.h"

namespace trap {

class WholeFile {
public:
  // For a new file at `path`; one that exists is an error, which has `never`, as in "a key is never
  // overwritten". `mode` as open(2) has it.
  static Result<WholeFile> make_new(const std::string& path, mode_t mode, const std::string& never);

  // For a file that takes the place of one that may exist.
  static Result<WholeFile> make(const std::string& path, mode_t mode);

  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  ~WholeFile();

  Result<void> append(std::string_view bytes);

  // Only now there is a file at the path.
  Result<void> finish();

private:
  WholeFile(std::string path, std::string never);

  static Result<WholeFile> open_for(const std::string& path, mode_t mode, std::string never);
  Error failed(const char* what) const;
  Error exists() const;
  bool takes_its_name() const;

  std::string path_;
  std::string never_;   // empty: it may be overwritten
  std::string interim_; // its name until finish()
  Fd fd_;
};

// All of it at once, in place of the file that may be there.
Result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode);

} // namespace trap
