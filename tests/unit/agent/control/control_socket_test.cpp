#include "agent/control/control_socket.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/agent/control/raw_client.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;

class ControlSocketTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string path_ = directory_.file("run/control.sock");
};

TEST_F(ControlSocketTest, MakesASocketForAnyProcessInADirectoryForItsOwner) {
  const auto socket = open_control_socket(path_);
  ASSERT_TRUE(socket) << socket.error().message();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0666u);
  ASSERT_EQ(::stat(directory_.file("run").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755u);
  EXPECT_TRUE(RawClient(path_).is_connected());
  EXPECT_NE(::stat((path_ + ".new").c_str(), &status), 0);
}

TEST_F(ControlSocketTest, TakesThePlaceOfADeadDaemonButNotOfALivingOne) {
  auto first = open_control_socket(path_);
  ASSERT_TRUE(first);
  const auto second = open_control_socket(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
  EXPECT_THAT(second.error().message(), HasSubstr("serves"));
  first->reset();
  EXPECT_FALSE(RawClient(path_).is_connected());
  const auto third = open_control_socket(path_);
  ASSERT_TRUE(third) << third.error().message();
  EXPECT_TRUE(RawClient(path_).is_connected());
}

TEST_F(ControlSocketTest, LeavesAFileThatIsNoSocket) {
  const std::string path = directory_.file("control.sock");
  put_into(path, "precious");
  const auto socket = open_control_socket(path);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(contents_of(path), "precious");
}

TEST_F(ControlSocketTest, RefusesAPathLongerThanASocketsMayBe) {
  const auto socket = open_control_socket(directory_.file(std::string(120, 'a')));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().kind, ErrorKind::kInvalid);
}

TEST_F(ControlSocketTest, TakesOverAListeningSocketAndNothingElse) {
  auto socket = open_control_socket(path_);
  ASSERT_TRUE(socket);
  const auto taken = adopt_control_socket(socket->release());
  ASSERT_TRUE(taken);
  EXPECT_TRUE(RawClient(path_).is_connected());
  EXPECT_FALSE(adopt_control_socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  EXPECT_FALSE(adopt_control_socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  EXPECT_FALSE(adopt_control_socket(-1));
}

}  // namespace
}  // namespace namewall::agent
