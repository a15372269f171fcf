// SPDX-License-Identifier: Apache-2.0
// Files that a program writes: whole, or as if it had not begun, wherever the disk ends.
#include "runtime/whole_file.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <iterator>
#include <sys/resource.h>
#include <sys/stat.h>

#include "runtime/output.h"

namespace trap::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr mode_t for_owner = 0600;

// Until the end of a test, no file may grow beyond this.
class SizeLimit {
public:
  explicit SizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;
  ~SizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

private:
  rlimit before_ = {};
};

class WholeFiles : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/trap-whole-file-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/file"; }
  std::ptrdiff_t files() const {
    return std::distance(std::filesystem::directory_iterator(folder_), {});
  }
  std::string content() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static Result<void> write_new(const std::string& path, std::string_view bytes) {
    auto file = WholeFile::make_new(path, for_owner, "nothing is overwritten");
    if (!file)
      return file.error();
    if (auto written = file->append(bytes); !written)
      return written;
    return file->finish();
  }

  std::string folder_;
};

TEST_F(WholeFiles, AreThereOnceTheyAreWhole) {
  auto file = WholeFile::make_new(path(), for_owner, "nothing is overwritten");
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->append("one "));
  EXPECT_FALSE(std::filesystem::exists(path()));
  ASSERT_TRUE(file->append("two"));
  ASSERT_TRUE(file->finish());
  EXPECT_EQ(content(), "one two");
  EXPECT_EQ(files(), 1);
  struct stat info;
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, for_owner);
  EXPECT_EQ(info.st_nlink, 1U);
}

TEST_F(WholeFiles, AreNotThereIfTheyWereGivenUp) {
  {
    auto file = WholeFile::make_new(path(), for_owner, "nothing is overwritten");
    ASSERT_TRUE(file && file->append("half"));
  }
  EXPECT_EQ(files(), 0);
}

TEST_F(WholeFiles, LeaveNothingAtALimit) {
  prepare_to_write();
  for (const rlim_t bytes : {0, 1, 6}) {
    const SizeLimit limit(bytes);
    const auto written = write_new(path(), "content");
    ASSERT_FALSE(written) << bytes;
    EXPECT_THAT(written.error().message, StartsWith(path() + ": cannot write: File too large"));
    EXPECT_EQ(files(), 0) << bytes;
  }
  const SizeLimit limit(7);
  EXPECT_TRUE(write_new(path(), "content"));
}

TEST_F(WholeFiles, KeepWhatWasThere) {
  prepare_to_write();
  ASSERT_TRUE(replace_file(path(), "earlier", for_owner));
  {
    const SizeLimit limit(3);
    EXPECT_FALSE(replace_file(path(), "later", for_owner));
  }
  EXPECT_EQ(content(), "earlier");
  const auto written = write_new(path(), "later");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("exists already, and nothing is overwritten"));
  EXPECT_EQ(content(), "earlier");
  ASSERT_TRUE(replace_file(path(), "later", for_owner));
  EXPECT_EQ(content(), "later");
  EXPECT_EQ(files(), 1);
}

TEST_F(WholeFiles, TakeNoPlaceOfAFileThatCameMeanwhile) {
  auto file = WholeFile::make_new(path(), for_owner, "nothing is overwritten");
  ASSERT_TRUE(file && file->append("ours"));
  std::ofstream(path()) << "another's";
  EXPECT_FALSE(file->finish());
  EXPECT_EQ(content(), "another's");
}

TEST_F(WholeFiles, FollowALinkAndSpareADevice) {
  std::filesystem::create_symlink(path(), folder_ + "/link");
  ASSERT_TRUE(replace_file(path(), "earlier", for_owner));
  ASSERT_TRUE(replace_file(folder_ + "/link", "later", for_owner));
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ + "/link"));
  EXPECT_EQ(content(), "later");
  ASSERT_TRUE(replace_file("/dev/null", "gone", for_owner));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_FALSE(replace_file("/dev/full", "no room", for_owner));
}

} // namespace
} // namespace trap::test
