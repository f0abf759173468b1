// A workload with a file system of its own (FUSE) that never answers: whoever looks at a path in it cannot even be
// killed. The privileged helper goes on without that one.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

#include "agent/host/foreign_users.h"
#include "tests/kernel/support/helper_loop.h"

namespace namewall::kernel_tests {
namespace {

using agent::ForeignUser;
using agent::NetnsList;

// Answers the first request, and takes all others without a word.
bool answer_init(int fuse) {
  alignas(fuse_in_header) char request[FUSE_MIN_READ_BUFFER];
  if (read(fuse, request, sizeof request) < static_cast<ssize_t>(sizeof(fuse_in_header))) return false;
  struct {
    fuse_out_header header;
    fuse_init_out body;
  } reply{};
  reply.header.len = sizeof reply;
  reply.header.unique = reinterpret_cast<const fuse_in_header*>(request)->unique;
  reply.body.major = FUSE_KERNEL_VERSION;
  reply.body.minor = FUSE_KERNEL_MINOR_VERSION;
  reply.body.max_write = 4096;
  return write(fuse, &reply, sizeof reply) == sizeof reply;
}

// A process of the cgroup whose /run is such a file system. It takes requests and keeps them.
std::string hang_own_run(Rendezvous& turn) {
  const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  const std::string options = "fd=" + std::to_string(fuse) + ",rootmode=40000,user_id=0,group_id=0";
  if (fuse < 0 || unshare(CLONE_NEWNS) != 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("hang", "/run", "fuse", 0, options.c_str()) != 0) {
    return "no FUSE: " + std::to_string(errno);
  }
  if (!answer_init(fuse)) return "no INIT";
  const pid_t keeper = fork();
  if (keeper == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static char request[FUSE_MIN_READ_BUFFER];
    while (read(fuse, request, sizeof request) > 0) {
    }
    _exit(0);
  }
  turn.arrive_and_wait();
  kill(keeper, SIGKILL);
  return "";
}

TEST(HungInspectionTest, AFileSystemThatNeverAnswersStopsNothingButItsOwnInspection) {
  ThrowawayCgroup hostile, other;
  auto helper = start_helper();
  Rendezvous turn;
  WorkloadProcess process(hostile, [&turn] { return hang_own_run(turn); });
  ASSERT_TRUE(turn.await_arrival()) << process.wait();
  for (int round = 0; round < 2; ++round) {
    const auto users = answer_of<std::vector<ForeignUser>>(
        helper, [&](auto done) { helper.inspect(hostile.fd(), 0, boot_now(), std::move(done)); });
    ASSERT_FALSE(users);
    EXPECT_THAT(users.error().message(), testing::HasSubstr("took too long"));
    const auto list = answer_of<NetnsList>(
        helper, [&](auto done) { helper.list_namespaces(other.fd(), boot_now(), std::move(done)); });
    EXPECT_TRUE(list) << list.error().message();
  }
  EXPECT_TRUE(helper.is_alive());
  turn.release();
  EXPECT_EQ(process.wait(), "");
}

}  // namespace
}  // namespace namewall::kernel_tests
