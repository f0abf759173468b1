#include "agent/host/trusted_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;

class TrustedPath : public ::testing::Test {
 protected:
  TrustedPath() {
    std::filesystem::create_directories(directory_.file("srv/app"));
    put_into(path_, "text");
    ::chmod(path_.c_str(), 0644);
  }
  // The text, or what is wrong.
  static std::string read(const std::string& path) {
    const auto text = read_trusted_path(path, 100);
    return text ? *text : text.error().message();
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.file("srv/app/spin.toml");
};

TEST_F(TrustedPath, IsReadWhereOnlyItsOwnerMayWrite) {
  EXPECT_EQ(read(path_), "text");
  EXPECT_EQ(read(directory_.file("srv/./app/../app//spin.toml")), "text");
}

TEST_F(TrustedPath, IsRefusedWhereOthersMayWriteTheFile) {
  ::chmod(path_.c_str(), 0666);
  EXPECT_THAT(read(path_), HasSubstr("may be written by others than root"));
}

TEST_F(TrustedPath, IsRefusedWhereOthersMayWriteAFolderOnTheWay) {
  for (const std::string folder : {"srv/app", "srv"}) {
    ::chmod(directory_.file(folder).c_str(), 0777);
    EXPECT_THAT(read(path_), HasSubstr("the folder " + directory_.file(folder) + " may be written by others"));
    ::chmod(directory_.file(folder).c_str(), 0755);
  }
  EXPECT_EQ(read(path_), "text");
}

TEST_F(TrustedPath, FollowsLinksAndLooksAtTheFoldersBehindThem) {
  std::filesystem::create_symlink("app", directory_.file("srv/current"));
  EXPECT_EQ(read(directory_.file("srv/current/spin.toml")), "text");
  std::filesystem::create_directory(directory_.file("open"));
  std::filesystem::create_symlink(path_, directory_.file("open/link.toml"));
  EXPECT_EQ(read(directory_.file("open/link.toml")), "text");
  ::chmod(directory_.file("open").c_str(), 0777);
  std::filesystem::create_symlink(directory_.file("open/link.toml"), directory_.file("srv/outer.toml"));
  EXPECT_THAT(read(directory_.file("srv/outer.toml")), HasSubstr("the folder " + directory_.file("open")));
  std::filesystem::create_symlink("loop", directory_.file("srv/loop"));
  EXPECT_THAT(read(directory_.file("srv/loop")), HasSubstr("symbolic links"));
}

TEST_F(TrustedPath, IsRefusedWhereItIsNoFileOfAnAcceptedSize) {
  EXPECT_THAT(read(directory_.file("srv/app")), HasSubstr("is no regular file"));
  EXPECT_THAT(read(directory_.file("srv/none")), HasSubstr("No such file"));
  EXPECT_THAT(read("srv/app/spin.toml"), HasSubstr("is no absolute path"));
  put_into(path_, std::string(101, 'x'));
  EXPECT_THAT(read(path_), HasSubstr("is larger than"));
}

}  // namespace
}  // namespace namewall::agent
