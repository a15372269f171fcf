// SPDX-License-Identifier: Apache-2.0
// Reading files that others may have put in place: of every kind of file, with every trust. None
// makes the reader wait, and no error has a byte of the content.
#include "runtime/fd.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace trap::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char file_content[] = "c29tZSBzZWNyZXQ=";
constexpr uid_t nobody = 65534;
constexpr FileTrust all[] = {FileTrust::any, FileTrust::settings, FileTrust::list,
                             FileTrust::secret};

class ReadFile : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/trap-file-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    ASSERT_EQ(chmod(name, 0755), 0);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path(const char* name = "file") const { return directory_ + "/" + name; }

  void write(mode_t mode, const char* name = "file") const {
    std::ofstream(path(name)) << file_content;
    ASSERT_EQ(chmod(path(name).c_str(), mode), 0);
  }

  void expect_error(FileTrust trust, const char* reason) const {
    auto text = read_file(path(), 100, trust, "key ");
    ASSERT_FALSE(text) << reason;
    EXPECT_THAT(text.error().message, StartsWith(path() + ": "));
    EXPECT_THAT(text.error().message, HasSubstr(reason));
    EXPECT_THAT(text.error().message, Not(HasSubstr("c29")));
    EXPECT_EQ(text.error().exit_code, ExitCode::usage);
  }
  void expect_error(const char* reason) const {
    for (const FileTrust trust : all)
      expect_error(trust, reason);
  }
  void expect_content(FileTrust trust) const {
    auto text = read_file(path(), 100, trust);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, file_content);
  }

  std::string directory_;
};

TEST_F(ReadFile, that_only_its_owner_uses_is_read_with_every_trust) {
  write(0600);
  for (const FileTrust trust : all)
    expect_content(trust);
}

TEST_F(ReadFile, that_is_empty_is_read) {
  std::ofstream(path()).close();
  ASSERT_EQ(chmod(path().c_str(), 0600), 0);
  for (const FileTrust trust : all) {
    auto text = read_file(path(), 100, trust);
    ASSERT_TRUE(text);
    EXPECT_EQ(*text, "");
  }
}

TEST_F(ReadFile, of_another_kind_is_refused_at_once) {
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  expect_error("not a regular file");
  ASSERT_EQ(unlink(path().c_str()), 0);

  const Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  expect_error("not a regular file");
  ASSERT_EQ(unlink(path().c_str()), 0);

  ASSERT_EQ(mkdir(path().c_str(), 0700), 0);
  expect_error("is a directory");
  EXPECT_THAT(read_file("/dev/zero", 100, FileTrust::any).error().message,
              HasSubstr("not a regular file"));
}

TEST_F(ReadFile, that_is_too_long_is_not_read) {
  write(0600);
  ASSERT_EQ(truncate(path().c_str(), 1LL << 40), 0); // sparse
  expect_error("longer than 100 bytes");
}

TEST_F(ReadFile, that_is_not_there) {
  expect_error("cannot open key file: No such file");
}

TEST_F(ReadFile, that_is_a_link_is_followed_only_to_settings) {
  write(0600, "secret");
  ASSERT_EQ(symlink("secret", path().c_str()), 0);
  expect_content(FileTrust::any);
  expect_content(FileTrust::settings);
  expect_error(FileTrust::list, "is a symbolic link");
  expect_error(FileTrust::secret, "is a symbolic link");
  ASSERT_EQ(unlink(path().c_str()), 0);
  ASSERT_EQ(symlink("file", path().c_str()), 0); // to itself
  expect_error(FileTrust::settings, "Too many levels");
}

TEST_F(ReadFile, that_others_can_use_is_no_secret) {
  for (const mode_t mode : {0640, 0604, 0610, 0601}) {
    write(mode);
    expect_content(FileTrust::settings);
    expect_content(FileTrust::list);
    expect_error(FileTrust::secret, "others can use it: run chmod 600");
  }
}

TEST_F(ReadFile, that_others_can_change_is_not_believed) {
  for (const mode_t mode : {0620, 0602, 0666}) {
    write(mode);
    expect_content(FileTrust::any);
    expect_error(FileTrust::settings, "others can change it: run chmod go-w");
    expect_error(FileTrust::list, "others can change it: run chmod go-w");
    expect_error(FileTrust::secret, "others can use it");
  }
}

TEST_F(ReadFile, of_another_user_is_not_believed) {
  if (geteuid() != 0)
    GTEST_SKIP() << "only root gives files away";
  write(0600);
  ASSERT_EQ(chown(path().c_str(), nobody, nobody), 0);
  expect_content(FileTrust::any);
  for (const FileTrust trust : {FileTrust::settings, FileTrust::list, FileTrust::secret})
    expect_error(trust, "belongs to user 65534: run chown root");
  ASSERT_EQ(seteuid(nobody), 0); // whose it is
  expect_content(FileTrust::secret);
  ASSERT_EQ(seteuid(0), 0);
}

TEST_F(ReadFile, that_may_not_be_read) {
  if (geteuid() != 0)
    GTEST_SKIP() << "only root becomes another user";
  write(0600);
  ASSERT_EQ(seteuid(nobody), 0);
  expect_error("cannot open key file: Permission denied");
  ASSERT_EQ(seteuid(0), 0);
}

} // namespace
} // namespace trap::test
