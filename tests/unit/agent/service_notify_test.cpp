#include "agent/host/service_notify.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

struct Told {
  std::string text;
  FileDescriptor fd;
};

// A service manager's end of NOTIFY_SOCKET.
class FakeManager {
 public:
  FakeManager() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = directory_.file("notify");
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~FakeManager() { unsetenv("NOTIFY_SOCKET"); }

  // What has been told; text "" if nothing.
  Told take() {
    std::array<char, 4096> text;
    std::array<char, CMSG_SPACE(4 * sizeof(int))> control;
    iovec vector{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t count = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    Told told;
    if (count < 0) return told;
    told.text.assign(text.data(), static_cast<std::size_t>(count));
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_type != SCM_RIGHTS) continue;
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part), sizeof(fd));
      told.fd.reset(fd);
    }
    return told;
  }

 private:
  const TemporaryDirectory directory_;
  FileDescriptor socket_;
};

TEST(ServiceNotify, TellsEachStageOfTheDaemonsLife) {
  FakeManager manager;
  auto notify = ServiceNotify::from_environment();
  ASSERT_TRUE(notify.ready("enforcing 2 workloads"));
  EXPECT_EQ(manager.take().text, "READY=1\nSTATUS=enforcing 2 workloads");
  ASSERT_TRUE(notify.reloading(std::chrono::microseconds(123456)));
  EXPECT_EQ(manager.take().text, "RELOADING=1\nMONOTONIC_USEC=123456");
  ASSERT_TRUE(notify.status("reloaded"));
  EXPECT_EQ(manager.take().text, "STATUS=reloaded");
  ASSERT_TRUE(notify.main_pid(77));
  EXPECT_EQ(manager.take().text, "MAINPID=77");
  ASSERT_TRUE(notify.stopping("enforcement stays"));
  EXPECT_EQ(manager.take().text, "STOPPING=1\nSTATUS=enforcement stays");
}

TEST(ServiceNotify, LetsNoStatusForgeAField) {
  FakeManager manager;
  auto notify = ServiceNotify::from_environment();
  ASSERT_TRUE(notify.status("a\nMAINPID=1"));
  EXPECT_EQ(manager.take().text, "STATUS=a\\x0aMAINPID=1");
}

TEST(ServiceNotify, DoesNothingWithoutAManager) {
  unsetenv("NOTIFY_SOCKET");
  auto notify = ServiceNotify::from_environment();
  EXPECT_TRUE(notify.ready("x"));
  EXPECT_TRUE(notify.hold("control", 0));
}

TEST(ServiceNotify, ReportsAManagerThatIsGone) {
  setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
  const auto told = ServiceNotify::from_environment().ready("x");
  unsetenv("NOTIFY_SOCKET");
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().error_number, ENOENT);
}

TEST(ServiceNotify, PingsTheWatchdogOnlyForTurnsOfTheLoop) {
  FakeManager manager;
  setenv("WATCHDOG_USEC", "8000000", 1);
  unsetenv("WATCHDOG_PID");
  auto notify = ServiceNotify::from_environment();
  unsetenv("WATCHDOG_USEC");
  ASSERT_EQ(notify.watchdog_interval(), Nanoseconds(std::chrono::seconds(4)));
  ASSERT_TRUE(notify.turned({std::chrono::seconds(100)}));
  EXPECT_EQ(manager.take().text, "WATCHDOG=1");
  ASSERT_TRUE(notify.turned({std::chrono::milliseconds(101'999)}));
  EXPECT_EQ(manager.take().text, "") << "a quick loop does not flood the manager";
  ASSERT_TRUE(notify.turned({std::chrono::seconds(102)}));
  EXPECT_EQ(manager.take().text, "WATCHDOG=1");
}

TEST(ServiceNotify, HasNoWatchdogUnlessTheManagerWantsOne) {
  FakeManager manager;
  unsetenv("WATCHDOG_USEC");
  auto notify = ServiceNotify::from_environment();
  EXPECT_FALSE(notify.watchdog_interval());
  ASSERT_TRUE(notify.turned({std::chrono::seconds(100)}));
  EXPECT_EQ(manager.take().text, "");
}

TEST(ServiceNotify, GivesDescriptorsToTheManagerUnderTheirNames) {
  FakeManager manager;
  auto notify = ServiceNotify::from_environment();
  std::array<int, 2> pipe_ends;
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const FileDescriptor reader(pipe_ends[0]);
  FileDescriptor writer(pipe_ends[1]);
  ASSERT_TRUE(notify.hold("control", writer.get()));
  writer.reset();
  const auto told = manager.take();
  EXPECT_EQ(told.text, "FDSTORE=1\nFDPOLL=0\nFDNAME=control");
  ASSERT_TRUE(told.fd);
  ASSERT_EQ(::write(told.fd.get(), "x", 1), 1) << "the manager's copy lives on";
  char byte = 0;
  EXPECT_EQ(read(reader.get(), &byte, 1), 1);
  ASSERT_TRUE(notify.release("control"));
  EXPECT_EQ(manager.take().text, "FDSTOREREMOVE=1\nFDNAME=control");
}

TEST(ServiceNotify, TakesNoDescriptorNameThatForgesAField) {
  FakeManager manager;
  auto notify = ServiceNotify::from_environment();
  for (const std::string& name :
       {std::string(), std::string("a\nREADY=1"), std::string("a:b"), std::string(256, 'a')}) {
    const auto held = notify.hold(name, 0);
    ASSERT_FALSE(held);
    EXPECT_EQ(held.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_EQ(manager.take().text, "");
}

// In a process of its own, as the manager starts one: descriptors from 3 on.
int take_held_in_child(int first, int second) {
  const int parked_first = fcntl(first, F_DUPFD, 10), parked_second = fcntl(second, F_DUPFD, 10);
  if (dup2(parked_first, 3) != 3 || dup2(parked_second, 4) != 4) return 1;
  setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  setenv("LISTEN_FDS", "2", 1);
  setenv("LISTEN_FDNAMES", "control:metrics", 1);
  const auto held = ServiceNotify::take_held();
  if (!held || held->size() != 2) return 2;
  if ((*held)[0].name != "control" || (*held)[1].name != "metrics") return 3;
  if ((fcntl((*held)[0].fd.get(), F_GETFD) & FD_CLOEXEC) == 0) return 4;
  if (getenv("LISTEN_FDS") != nullptr) return 5;
  return ::write((*held)[1].fd.get(), "x", 1) == 1 ? 0 : 6;
}

TEST(ServiceNotify, GetsItsDescriptorsBackAfterARestart) {
  std::array<int, 2> pipe_ends;
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const FileDescriptor reader(pipe_ends[0]), writer(pipe_ends[1]);
  const pid_t child = fork();
  if (child == 0) _exit(take_held_in_child(reader.get(), writer.get()));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  char byte = 0;
  EXPECT_EQ(read(reader.get(), &byte, 1), 1);
}

TEST(ServiceNotify, GetsNothingBackWhereNothingWasHeld) {
  unsetenv("LISTEN_PID");
  const auto held = ServiceNotify::take_held();
  ASSERT_TRUE(held);
  EXPECT_TRUE(held->empty());
}

}  // namespace
}  // namespace namewall::agent
