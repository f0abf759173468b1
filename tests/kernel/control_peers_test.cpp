// Who asks at the control socket, from real processes in real cgroups: rights end at a workload's wall, also for root.
#include <gmock/gmock.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <sstream>
#include <thread>

#include "agent/cgroup_tree.h"
#include "tests/kernel/support/throwaway_cgroup.h"
#include "tests/unit/agent/control/served_control.h"

namespace namewall::kernel_tests {
namespace {

using agent::ControlServer;
using agent::http_request;
using agent::LoopThread;
using agent::RawClient;

constexpr uid_t kNobodyInParticular = 64321;
constexpr gid_t kReadersGroup = 64322;
const std::string kPut = R"({"cgroup": "/ci", "policy": "builder"})";

class ControlPeers : public testing::Test {
 protected:
  void SetUp() override {
    ControlServer::Options options;
    options.path = directory_.file("run/control.sock");
    options.access = {.own_uid = 64320, .readers_gid = kReadersGroup};
    host_.confined_prefix = path_of(workload_);
    ASSERT_EQ(::chmod(directory_.file("").c_str(), 0755), 0);
    auto server = ControlServer::open(options, host_);
    ASSERT_TRUE(server) << server.error().message();
    loop_.emplace(*std::move(server));
    path_ = options.path;
  }

  // As /proc/PID/cgroup says it.
  static std::string path_of(const ThrowawayCgroup& cgroup) {
    const std::string own = *agent::parse_own_cgroup(agent::contents_of("/proc/self/cgroup"));
    return (own == "/" ? "" : own) + cgroup.path().substr(cgroup.path().rfind('/'));
  }

  // What `body` wrote, in a process of its own.
  static std::string in_child(const std::function<void(std::ostream&)>& body) {
    int ends[2];
    if (::pipe(ends) != 0) return "no pipe";
    const pid_t pid = ::fork();
    if (pid == 0) {
      std::ostringstream out;
      body(out);
      const std::string text = out.str();
      const bool written = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
      ::_exit(written ? 0 : 1);
    }
    ::close(ends[1]);
    std::string text;
    char block[4096];
    for (ssize_t count = 0; (count = ::read(ends[0], block, sizeof block)) > 0;) {
      text.append(block, static_cast<std::size_t>(count));
    }
    ::close(ends[0]);
    ::waitpid(pid, nullptr, 0);
    return text;
  }

  static int status_of(RawClient& client, const std::string& request) {
    const auto answer = client.send(request) ? client.read_answer() : std::nullopt;
    return answer ? answer->status : 0;
  }
  // "200 200 403": what /v1/self, /v1/status and a PUT answer.
  void ask_all(std::ostream& out) const {
    for (const std::string& request : {http_request("GET", "/v1/self"), http_request("GET", "/v1/status"),
                                       http_request("PUT", "/v1/workloads/ci", &kPut)}) {
      RawClient client(path_);
      out << status_of(client, request) << ' ';
    }
  }

  static bool is_refused(const agent::PeerIdentity& identity) {
    const auto peer = identity.look();
    return !peer && peer.error().kind == ErrorKind::kPermission;
  }

  ThrowawayCgroup workload_;
  ThrowawayCgroup inside_{workload_};
  ThrowawayCgroup neighbour_;
  agent::TemporaryDirectory directory_;
  agent::FakeHost host_;
  std::string path_;
  std::optional<LoopThread<ControlServer>> loop_;  // the first to go
};

TEST_F(ControlPeers, RootOutsideEveryWorkloadMayDoAll) {
  EXPECT_EQ(in_child([&](std::ostream& out) {
              if (neighbour_.enter()) ask_all(out);
            }),
            "200 200 200 ");
}

TEST_F(ControlPeers, RootInsideAWorkloadMayAskOnlyForItsOwn) {
  EXPECT_EQ(in_child([&](std::ostream& out) {
              if (workload_.enter()) ask_all(out);
            }),
            "200 403 403 ");
  EXPECT_EQ(in_child([&](std::ostream& out) {
              if (inside_.enter()) ask_all(out);
            }),
            "200 403 403 ");
  EXPECT_TRUE(host_.calls().empty());
}

TEST_F(ControlPeers, WhereTheCgroupNamespaceHidesAPeersCgroupThePeerCannotBePlaced) {
  EXPECT_THAT(in_child([&](std::ostream& out) {
                int ends[2];
                if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || !neighbour_.enter() ||
                    ::unshare(CLONE_NEWCGROUP) != 0 || !workload_.enter()) {
                  return;
                }
                const auto source = agent::KernelPeerSource::open();
                const auto peer = source ? source->identify(ends[0]) : tl::unexpected(source.error());
                const auto placed = peer ? (*peer)->look() : tl::unexpected(peer.error());
                out << (placed ? "placed in " + placed->cgroup : placed.error().message());
              }),
              testing::HasSubstr("cannot be told"));
}

// /proc tells the cgroup of the first thread, which an ended one does not leave any more.
TEST_F(ControlPeers, APeerWhoseFirstThreadHasEndedCannotBePlaced) {
  EXPECT_EQ(in_child([&](std::ostream& out) {
              int ends[2];
              if (::pipe(ends) != 0) return;
              const pid_t pid = ::fork();
              if (pid == 0) {
                std::thread([&] {
                  while (agent::contents_of("/proc/self/stat").find(") Z ") == std::string::npos) ::usleep(1000);
                  std::ostringstream text;
                  if (workload_.enter()) ask_all(text);
                  const bool written = ::write(ends[1], text.str().data(), text.str().size()) > 0;
                  ::_exit(written ? 0 : 1);
                }).detach();
                ::syscall(SYS_exit, 0);
              }
              ::close(ends[1]);
              char block[256];
              const ssize_t count = ::read(ends[0], block, sizeof block);
              if (count > 0) out << std::string_view(block, static_cast<std::size_t>(count));
              ::waitpid(pid, nullptr, 0);
            }),
            "403 403 403 ");
}

TEST_F(ControlPeers, OtherUsersMayReadAsMembersOfTheGroupOnly) {
  const auto as_user = [&](const std::vector<gid_t>& groups, gid_t own = kNobodyInParticular) {
    return in_child([&](std::ostream& out) {
      if (::setgroups(groups.size(), groups.data()) == 0 && ::setgid(own) == 0 && ::setuid(kNobodyInParticular) == 0) {
        ask_all(out);
      }
    });
  };
  EXPECT_EQ(as_user({}), "200 403 403 ");
  EXPECT_EQ(as_user({kReadersGroup}), "200 200 403 ");
  EXPECT_EQ(as_user({}, kReadersGroup), "200 200 403 ");
  std::vector<gid_t> many;
  for (gid_t gid = 70'000; gid < 70'100; ++gid) many.push_back(gid);
  EXPECT_EQ(as_user(many), "200 403 403 ");
  many.push_back(kReadersGroup);
  EXPECT_EQ(as_user(many), "200 200 403 ");
}

TEST_F(ControlPeers, AConnectionKeepsNoRightsThatItsProcessHasLost) {
  EXPECT_EQ(in_child([&](std::ostream& out) {
              RawClient client(path_);
              out << status_of(client, http_request("GET", "/v1/status")) << ' ';
              if (workload_.enter()) out << status_of(client, http_request("GET", "/v1/status"));
            }),
            "200 403");
}

TEST_F(ControlPeers, NobodyHoldsOnToTheConnectionOfAProcessThatIsGone) {
  EXPECT_EQ(in_child([&](std::ostream& out) {
              int ends[2];
              if (::pipe(ends) != 0) return;
              // The child connects and leaves; the parent holds what it opened: both share one table of descriptors.
              const auto pid = static_cast<pid_t>(::syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
              if (pid == 0) {
                sockaddr_un address{};
                address.sun_family = AF_UNIX;
                std::ranges::copy(path_, address.sun_path);
                const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
                const int connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
                const int told[2] = {fd, connected};
                [[maybe_unused]] const ssize_t written = ::write(ends[1], told, sizeof told);
                ::_exit(0);
              }
              int told[2] = {-1, -1};
              if (::read(ends[0], told, sizeof told) != sizeof told || told[1] != 0) return;
              ::waitpid(pid, nullptr, 0);
              RawClient client{FileDescriptor(told[0])};
              out << status_of(client, http_request("GET", "/v1/status"));
            }),
            "403");
}

TEST_F(ControlPeers, ThePeerIsTheProcessThatConnected) {
  const auto source = agent::KernelPeerSource::open();
  ASSERT_TRUE(source);
  const FileDescriptor listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(directory_.file("peer.sock"), address.sun_path);
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listening.get(), 1), 0);
  ASSERT_EQ(::chmod(address.sun_path, 0777), 0);
  int hold[2];
  ASSERT_EQ(::pipe(hold), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(hold[1]);
    if (!neighbour_.enter() || ::setuid(kNobodyInParticular) != 0) ::_exit(1);
    RawClient client(directory_.file("peer.sock"));
    char byte = 0;
    ::_exit(::read(hold[0], &byte, 1) == 0 ? 0 : 1);
  }
  const FileDescriptor connection(::accept(listening.get(), nullptr, nullptr));
  const auto identity = (*source).identify(connection.get());
  ASSERT_TRUE(identity);
  const auto peer = (*identity)->look();
  ASSERT_TRUE(peer) << peer.error().message();
  struct stat status {};
  ASSERT_EQ(::stat(neighbour_.path().c_str(), &status), 0);
  EXPECT_EQ(peer->pid, static_cast<std::uint32_t>(pid));
  EXPECT_EQ(peer->uid, kNobodyInParticular);
  EXPECT_EQ(peer->cgroup, path_of(neighbour_));
  EXPECT_EQ(peer->cgroup_id, status.st_ino);
  EXPECT_EQ(peer->executable, std::filesystem::read_symlink("/proc/self/exe").string());
  ::close(hold[1]);
  ::close(hold[0]);
  ::waitpid(pid, nullptr, 0);
  EXPECT_TRUE(is_refused(**identity));

  // Another process with its number is another process.
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<std::uint64_t>(&pid);
  arguments.set_tid_size = 1;
  const auto again = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (again == 0) {
    ::pause();
    ::_exit(0);
  }
  ASSERT_EQ(again, pid) << std::strerror(errno);
  EXPECT_TRUE(is_refused(**identity));
  ::kill(again, SIGKILL);
  ::waitpid(again, nullptr, 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
