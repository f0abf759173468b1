// Foreign users of a workload's reach, found in real processes.
#include "agent/host/process_facts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/command.h"
#include "agent/doctor_cgroup.h"
#include "agent/host/drop_privileges.h"
#include "tests/kernel/support/helper_loop.h"

namespace namewall::kernel_tests {
namespace {

using agent::ForeignUser;

constexpr uid_t kOtherUid = 64321;

class ForeignUsersTest : public testing::Test {
 protected:
  // What is found while a process of the cgroup waits behind `prepare`; "" from it: all went well.
  std::vector<ForeignUser> find_with(const std::function<std::string()>& prepare) {
    Rendezvous turn;
    WorkloadProcess process(cgroup_, [&] {
      const std::string problem = prepare();
      turn.arrive_and_wait();
      return problem;
    });
    if (!turn.await_arrival()) ADD_FAILURE() << "the process did not start";
    auto users = answer_of<std::vector<ForeignUser>>(
        helper_, [&](auto done) { helper_.inspect(cgroup_.fd(), 0, boot_now(), std::move(done)); });
    turn.release();
    EXPECT_EQ(process.wait(), "");
    if (!users) ADD_FAILURE() << users.error().message();
    return users ? std::move(*users) : std::vector<ForeignUser>{};
  }
  // "capability CAP_BPF", "vsock"
  std::vector<std::string> codes_with(const std::function<std::string()>& prepare) {
    std::vector<std::string> codes;
    for (const ForeignUser& user : find_with(prepare)) {
      codes.push_back(std::string(code_of(user)) + (user.detail.empty() ? "" : " " + user.detail));
    }
    return codes;
  }
  static std::string drop(const std::vector<int>& keep = {}) {
    const auto dropped = agent::drop_privileges(kOtherUid, kOtherUid, keep);
    return dropped ? "" : dropped.error().message();
  }

  ThrowawayCgroup cgroup_;
  agent::PrivilegedHelper helper_ = start_helper();
};

TEST_F(ForeignUsersTest, AnUnprivilegedProcessHasNone) {
  EXPECT_THAT(codes_with([] { return drop(); }), testing::IsEmpty());
}

TEST_F(ForeignUsersTest, NamesEffectiveCapabilities) {
  EXPECT_THAT(codes_with([] {
                return drop({CAP_BPF, CAP_NET_RAW, CAP_CHOWN});
              }),
              testing::ElementsAre("capability CAP_NET_RAW, CAP_BPF"));
}

TEST_F(ForeignUsersTest, RootWithoutCapabilitiesMayLeaveItsCgroup) {
  const auto drop_all = [] {
    const auto dropped = agent::keep_only_capabilities({});
    return dropped ? std::string() : dropped.error().message();
  };
  EXPECT_THAT(codes_with(drop_all), testing::ElementsAre("delegated-cgroup"));
}

TEST_F(ForeignUsersTest, ReadOnlyCgroupMountsKeepRootIn) {
  const auto prepare = [this]() -> std::string {
    const std::string mount = cgroup_.path().substr(0, cgroup_.path().rfind("/nwharness-"));
    if (unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(nullptr, mount.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0) {
      return "cannot remount " + mount;
    }
    const auto dropped = agent::keep_only_capabilities({});
    return dropped ? std::string() : dropped.error().message();
  };
  EXPECT_THAT(codes_with(prepare), testing::IsEmpty());
}

TEST_F(ForeignUsersTest, FindsPacketSocketsInAnyNetworkNamespace) {
  EXPECT_THAT(codes_with([] {
                if (unshare(CLONE_NEWNET) != 0) return std::string("unshare");
                if (socket(AF_PACKET, SOCK_RAW, 0) < 0) return std::string("AF_PACKET");
                return drop();
              }),
              testing::ElementsAre("packet-socket"));
}

TEST_F(ForeignUsersTest, FindsVsock) {
  if (const OwnedFd probe(socket(AF_VSOCK, SOCK_STREAM, 0)); !probe && errno == EAFNOSUPPORT) {
    GTEST_SKIP() << "this kernel has no AF_VSOCK";
  }
  EXPECT_THAT(codes_with([] { return socket(AF_VSOCK, SOCK_STREAM, 0) < 0 ? std::string("AF_VSOCK") : drop(); }),
              testing::ElementsAre("vsock"));
}

TEST_F(ForeignUsersTest, FindsTunnelDevicesByTheirNumberNotTheirName) {
  const auto prepare = []() -> std::string {
    if (unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/mnt", "tmpfs", 0, nullptr) != 0) {
      return "mount";
    }
    if (mknod("/mnt/innocent", S_IFCHR | 0666, makedev(10, 200)) != 0) return "mknod";
    if (open("/mnt/innocent", O_RDWR | O_CLOEXEC) < 0) return errno == ENODEV || errno == ENXIO ? "absent" : "open";
    return drop();
  };
  if (const OwnedFd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC)); !tun) GTEST_SKIP() << "this host has no tun";
  EXPECT_THAT(codes_with(prepare), testing::ElementsAre("tunnel-device /dev/net/tun"));
}

TEST_F(ForeignUsersTest, FindsIpSocketsThatCameFromOutsideTheCgroup) {
  const OwnedFd listener = make_socket(AF_INET, SOCK_STREAM);
  SocketAddress any(ip("127.0.0.1"), 0);
  ASSERT_EQ(bind(listener.get(), any.get(), any.length), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  EXPECT_THAT(codes_with([] { return drop(); }), testing::ElementsAre("foreign-socket")) << "inherited by the process";
}

TEST_F(ForeignUsersTest, ItsOwnSocketsAreNotForeign) {
  EXPECT_THAT(codes_with([] {
                SocketAddress any(ip("127.0.0.1"), 0);
                const int own = socket(AF_INET, SOCK_STREAM, 0);
                if (bind(own, any.get(), any.length) != 0 || listen(own, 1) != 0) return std::string("listen");
                return drop();
              }),
              testing::IsEmpty());
}

TEST_F(ForeignUsersTest, TheDoctorsExitCodeSaysWhetherAWorkloadWouldBePartial) {
  EXPECT_EQ(agent::doctor_cgroup(cgroup_.path(), true), agent::kExitOk);
  EXPECT_EQ(agent::doctor_cgroup("/tmp", true), agent::kExitNoSuchObject);
  EXPECT_EQ(agent::doctor_cgroup("/no/such/cgroup", true), agent::kExitNoSuchObject);
  Rendezvous turn;
  WorkloadProcess root(cgroup_, [&turn] { return turn.arrive_and_wait(), std::string(); });
  ASSERT_TRUE(turn.await_arrival());
  // In a child of ours: reading moves through network namespaces.
  const pid_t doctor = fork();
  if (doctor == 0) _exit(agent::doctor_cgroup(cgroup_.path(), true));
  int status = 0;
  ASSERT_EQ(waitpid(doctor, &status, 0), doctor);
  turn.release();
  EXPECT_EQ(WEXITSTATUS(status), agent::kExitNotEnforcing);
}

// /run/docker.sock in the process's own view: a tmpfs over /run in a mount namespace of its own.
std::string make_docker_socket(mode_t mode) {
  if (unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", "/run", "tmpfs", 0, "mode=755") != 0) {
    return "mount";
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "/run/docker.sock");
  const int engine = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(engine, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(engine, 1) != 0 ||
      chmod(address.sun_path, mode) != 0 || chown(address.sun_path, 0, kOtherUid) != 0) {
    return "cannot make /run/docker.sock";
  }
  return "";
}

TEST_F(ForeignUsersTest, FindsAContainerEngineThatTheProcessMayReach) {
  const auto prepare = [](mode_t mode) {
    return [mode] {
      const std::string problem = make_docker_socket(mode);
      return problem.empty() ? drop() : problem;
    };
  };
  EXPECT_THAT(codes_with(prepare(0660)), testing::ElementsAre("container-engine /run/docker.sock"));
  EXPECT_THAT(codes_with(prepare(0600)), testing::IsEmpty()) << "root's alone";
}

TEST_F(ForeignUsersTest, AFileSystemThatNeverAnswersHoldsUpNeitherTheDaemonNorTheHelper) {
  if (access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "this host has no /dev/fuse";
  Rendezvous turn;
  WorkloadProcess process(cgroup_, [&turn]() -> std::string {
    const int server = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    const std::string options = "fd=" + std::to_string(server) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    if (unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("silent", "/run", "fuse", 0, options.c_str()) != 0) {
      return "mount";
    }
    turn.arrive_and_wait();
    return "";
  });
  ASSERT_TRUE(turn.await_arrival());
  std::optional<Result<std::vector<ForeignUser>>> held_up;
  std::optional<bool> neighbour;
  const auto since = std::chrono::steady_clock::now();
  helper_.inspect(cgroup_.fd(), 0, boot_now(), [&](auto users) { held_up.emplace(std::move(users)); });
  helper_.list_namespaces(cgroup_.fd(), boot_now(), [&](auto list) { neighbour = list.has_value(); });
  EXPECT_TRUE(turn_until(helper_, [&] { return neighbour.has_value(); }));
  EXPECT_TRUE(*neighbour);
  EXPECT_LT(std::chrono::steady_clock::now() - since, std::chrono::seconds(1));
  EXPECT_FALSE(held_up);
  ASSERT_TRUE(turn_until(helper_, [&] { return held_up.has_value(); }));
  turn.release();
  EXPECT_EQ(process.wait(), "");
  ASSERT_FALSE(*held_up);
  EXPECT_EQ(held_up->error().kind, ErrorKind::kLimit) << held_up->error().message();
}

TEST_F(ForeignUsersTest, ASymbolicLinkIsFollowedInTheProcesssOwnRootOnly) {
  // Followed in ours it would name the socket of the host.
  const std::string outside = "/tmp/namewall-helper-test-" + std::to_string(getpid()) + ".sock";
  const auto prepare = [&outside]() -> std::string {
    if (unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/run", "tmpfs", 0, "mode=755") != 0) {
      return "mount";
    }
    if (symlink(outside.c_str(), "/run/docker.sock") != 0) return "symlink";
    if (::mount("none", "/tmp", "tmpfs", 0, "mode=755") != 0) return "mount /tmp";
    return drop();
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, outside.c_str());
  const OwnedFd engine(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(engine.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  chmod(outside.c_str(), 0666);
  EXPECT_THAT(codes_with(prepare), testing::IsEmpty());
  unlink(outside.c_str());
}

}  // namespace
}  // namespace namewall::kernel_tests
