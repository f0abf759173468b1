// What a run's command may not: ids and capabilities, system calls, file systems, descriptors.
#include <fcntl.h>
#include <pty.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/cgroup_tree.h"
#include "agent/credentials.h"
#include "agent/hygiene.h"
#include "policy/file_descriptor.h"
#include "tests/kernel/support/run_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Confinement : public RunTest {};

constexpr const char* kStatus = "cat /proc/self/status";

TEST_F(Confinement, TheCommandHasTheUsersIdsGroupsAndEnvironment) {
  const RunResult result = run(shell("id -u; id -g; id -G; echo $HOME $USER $LOGNAME $SHELL"));
  EXPECT_EQ(result.output, "54321\n54322\n54322 54323\n/home/ada ada ada /bin/sh\n");
}

TEST_F(Confinement, AUserHasNoCapabilityInAnySet) {
  const std::string output = run(shell(kStatus)).output;
  for (const std::string set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_THAT(output, HasSubstr(set + ":\t0000000000000000")) << set;
  }
  EXPECT_THAT(output, HasSubstr("NoNewPrivs:\t1"));
}

TEST_F(Confinement, RootKeepsOnlyWhatDoesNotUndoTheConfinement) {
  RunRequest request = shell(kStatus);
  request.credentials = root_user();
  const std::string output = run(request).output;
  EXPECT_THAT(output, ContainsRegex("Uid:\t0"));
  for (const std::string set : {"CapPrm", "CapEff", "CapBnd"}) {
    const std::size_t at = output.find(set + ":\t");
    ASSERT_NE(at, std::string::npos);
    const std::uint64_t bits = std::stoull(output.substr(at + 8, 16), nullptr, 16);
    for (const int capability : agent::dangerous_capabilities()) {
      EXPECT_EQ(bits >> capability & 1, 0u) << set << " " << capability;
    }
    EXPECT_NE(bits & 1, 0u) << set << " keeps CAP_CHOWN";
  }
}

// A setuid-root copy of id(1), as sudo, su and ping are.
class SetuidProgram {
 public:
  SetuidProgram() : directory_("/tmp/nwrun-setuid-" + std::to_string(::getpid())), path_(directory_ + "/id") {
    std::filesystem::create_directory(directory_);
    std::filesystem::copy_file("/usr/bin/id", path_);
    ::chmod(path_.c_str(), 04755);
  }
  ~SetuidProgram() { std::filesystem::remove_all(directory_); }
  const std::string& path() const { return path_; }

 private:
  std::string directory_;
  std::string path_;
};

TEST_F(Confinement, ASetuidProgramGainsNothing) {
  const SetuidProgram program;
  EXPECT_EQ(run(shell(program.path() + " -u")).output, "54321\n");
}

TEST_F(Confinement, KeepPrivsLetsASetuidProgramBecomeRootWithoutCapabilities) {
  const SetuidProgram program;
  RunRequest request = shell(program.path() + " -u; grep -E 'NoNewPrivs|CapBnd' /proc/self/status");
  request.keep = keeping("privs");
  const std::string output = run(request).output;
  EXPECT_THAT(output, HasSubstr("0\n"));
  EXPECT_THAT(output, HasSubstr("NoNewPrivs:\t0"));
  EXPECT_THAT(output, HasSubstr("CapBnd:\t0000000000000000"));
}

TEST_F(Confinement, SuDoesNotGainRoot) {
  const std::string output = run(shell("su root -c 'echo uid $(id -u)' </dev/null")).output;
  EXPECT_THAT(output, Not(HasSubstr("uid 0")));
}

constexpr const char* kSocketScript =
    "import ctypes,errno,socket\n"
    "libc=ctypes.CDLL(None,use_errno=True)\n"
    "def call(n,*a):\n"
    "  r=libc.syscall(*[ctypes.c_long(x) for x in (n,)+a])\n"
    "  return 'ok' if r>=0 else errno.errorcode[ctypes.get_errno()]\n";

TEST_F(Confinement, OnlyTheJudgedSocketFamiliesAndRouteNetlinkExist) {
  const std::string output =
      run(python(std::string(kSocketScript) +
                 "for f in (1,2,10): print('family',f,call(41,f,1,0))\n"
                 "print('route',call(41,16,3,0))\n"
                 "bad=[f for f in list(range(0,64))+[255,65536] if f not in (1,2,10,16)\n"
                 "     and call(41,f,2,0)!='EAFNOSUPPORT']\n"
                 "print('bad',bad)\n"
                 "print('netlink',[p for p in range(1,32) if call(41,16,3,p)!='EAFNOSUPPORT'])\n"
                 "b=ctypes.create_string_buffer(8)\n"
                 "print('pair',call(53,17,3,0,ctypes.addressof(b)),call(53,1,1,0,ctypes.addressof(b)))\n"))
          .output;
  EXPECT_EQ(output, "family 1 ok\nfamily 2 ok\nfamily 10 ok\nroute ok\nbad []\nnetlink []\npair EAFNOSUPPORT ok\n");
}

TEST_F(Confinement, TheFamilyIsReadAsTheKernelReadsIt) {
  // The kernel takes an int: bits above 31 hide nothing (AF_VSOCK) and forbid nothing (AF_INET).
  const std::string output =
      run(python(std::string(kSocketScript) + "print(call(41,(1<<32)|40,1,0),call(41,(1<<40)|2,1,0),"
                                              "call(41,(1<<33)|16,3,(1<<34)|12),call(41,(1<<33)|16,3,1<<34))\n"))
          .output;
  EXPECT_EQ(output, "EAFNOSUPPORT ok EAFNOSUPPORT ok\n");
}

TEST_F(Confinement, KeepFamiliesLeavesThemToTheKernel) {
  RunRequest request = python(std::string(kSocketScript) + "print(call(41,16,3,15),call(425,8,0))\n");
  request.keep = keeping("families");
  EXPECT_EQ(run(request).output, "ok ENOSYS\n") << "uevent netlink is open, io_uring still closed";
}

TEST_F(Confinement, IoUringDoesNotExistAndBpfIsRefused) {
  const std::string output =
      run(python(std::string(kSocketScript) +
                 "print(call(425,8,0),call(426,0,0,0,0,0,0),call(427,0,0,0,0),call(321,0,0,0))\n"))
          .output;
  EXPECT_EQ(output, "ENOSYS ENOSYS ENOSYS EPERM\n");
}

TEST_F(Confinement, RootIsHeldToTheSameFilter) {
  RunRequest request = python(std::string(kSocketScript) + "print(call(41,17,3,768),call(425,8,0),call(321,0,0,0))\n");
  request.credentials = root_user();
  EXPECT_EQ(run(request).output, "EAFNOSUPPORT ENOSYS EPERM\n");
}

// What the command says whose standard input is its controlling terminal.
std::string run_on_terminal(RunRequest request) {
  int output[2];
  if (::pipe2(output, O_CLOEXEC) != 0) return "no pipe";
  int terminal = -1;
  const pid_t leader = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (leader == 0) {
    const std::string said = run(request).output;
    ::_exit(::write(output[1], said.data(), said.size()) < 0 ? 1 : 0);
  }
  ::close(output[1]);
  std::string said;
  char block[512];
  ssize_t count = 0;
  while ((count = ::read(output[0], block, sizeof block)) > 0) said.append(block, static_cast<std::size_t>(count));
  ::close(output[0]);
  ::waitpid(leader, nullptr, 0);
  ::close(terminal);
  return said;
}

// TIOCSTI, the same with a bit that the kernel does not look at, TIOCLINUX, TIOCGWINSZ.
constexpr const char* kTerminalScript =
    "b=ctypes.create_string_buffer(b'x',64)\n"
    "print(*[call(16,0,c,ctypes.addressof(b)) for c in (0x5412,(1<<32)|0x5412,0x541c,0x5413)])\n";

TEST_F(Confinement, TheCommandDoesNotTypeIntoTheTerminalThatItShares) {
  EXPECT_EQ(run_on_terminal(python(std::string(kSocketScript) + kTerminalScript)), "EPERM EPERM EPERM ok\n");
}

TEST_F(Confinement, KeepTtyLeavesTheTerminalToTheKernel) {
  RunRequest request = python(std::string(kSocketScript) + kTerminalScript);
  request.keep = keeping("tty");
  int legacy = 1;  // kernels without the switch allow it
  std::ifstream("/proc/sys/dev/tty/legacy_tiocsti") >> legacy;
  // A pseudo terminal knows no TIOCLINUX.
  EXPECT_EQ(run_on_terminal(request), legacy == 0 ? "EIO EIO ENOTTY ok\n" : "ok ok ENOTTY ok\n");
}

#if defined(__x86_64__)
// getpid by int 0x80 (20 in the i386 table), and by its x32 number.
constexpr const char* kForeignScript =
    "code=bytes([0xb8,20,0,0,0,0xcd,0x80,0xc3])\n"
    "import mmap\n"
    "page=mmap.mmap(-1,4096,prot=mmap.PROT_READ|mmap.PROT_WRITE|mmap.PROT_EXEC)\n"
    "page.write(code)\n"
    "f=ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
    "r=f()\n"
    "print('i386', 'ok' if r>0 else errno.errorcode[-r], 'x32', call(0x40000000+39))\n";

TEST_F(Confinement, SystemCallsOfOtherAbisAreRefused) {
  EXPECT_EQ(run(python(std::string(kSocketScript) + kForeignScript)).output, "i386 EPERM x32 EPERM\n");
}

TEST_F(Confinement, KeepAbisLetsThirtyTwoBitProgramsRun) {
  RunRequest request = python(std::string(kSocketScript) + kForeignScript);
  request.keep = keeping("abis");
  EXPECT_THAT(run(request).output, Not(HasSubstr("EPERM")));
}
#endif

TEST_F(Confinement, CgroupFilesAreReadOnlyForRootToo) {
  const std::string own = agent::find_own_cgroup_directory().value();
  RunRequest request = shell("(echo $$ > " + own + "/cgroup.procs) 2>&1; mkdir " + own + "/nwrun-made 2>&1; cat " +
                             own + "/cgroup.procs >/dev/null && echo readable; grep ^0:: /proc/self/cgroup");
  request.credentials = root_user();
  const std::string output = run(request).output;
  EXPECT_THAT(output, HasSubstr("Read-only file system"));
  EXPECT_THAT(output, HasSubstr("readable"));
  EXPECT_THAT(output, HasSubstr("namewall-run-"));
  EXPECT_NE(::rmdir((own + "/nwrun-made").c_str()), 0) << "a cgroup was made";
  const int descriptor = ::open((own + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  EXPECT_GE(descriptor, 0) << "outside nothing has changed";
  ::close(descriptor);
}

TEST_F(Confinement, RootCannotMakeTheCgroupFilesWritableAgain) {
  const std::string own = agent::find_own_cgroup_directory().value();
  RunRequest request = shell("mount -o remount,rw,bind " + own + " 2>&1; umount " + own +
                             " 2>&1; unshare -Ur mount -t cgroup2 none /mnt 2>&1; (echo $$ > " + own +
                             "/cgroup.procs) 2>&1; grep ^0:: /proc/self/cgroup");
  request.credentials = root_user();
  EXPECT_THAT(run(request).output, HasSubstr("namewall-run-"));
}

// A place where a helper's socket may lie, with a listening socket in it; what was not there before is removed.
class HelperSocket {
 public:
  explicit HelperSocket(const std::string& path) : path_(path) {
    existed_ = std::filesystem::exists(path);
    if (existed_) return;
    for (auto parent = std::filesystem::path(path).parent_path(); !std::filesystem::exists(parent);
         parent = parent.parent_path()) {
      made_.push_back(parent);
    }
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ready_ = ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
             ::listen(socket_.get(), 16) == 0 && ::chmod(path.c_str(), 0777) == 0;
  }
  HelperSocket& operator=(const HelperSocket&) = delete;
  ~HelperSocket() {
    if (existed_) return;
    ::unlink(path_.c_str());
    for (const auto& directory : made_) ::rmdir(directory.c_str());
  }
  bool usable() const { return ready_; }

 private:
  std::string path_;
  std::vector<std::filesystem::path> made_;
  FileDescriptor socket_;
  bool existed_ = false;
  bool ready_ = false;
};

std::string connect_script(const std::string& path) {
  return "import socket\n"
         "s=socket.socket(socket.AF_UNIX)\n"
         "try:\n"
         "  s.connect('" +
         path +
         "'); print('connected')\n"
         "except OSError as e: print('refused')\n";
}

struct HelperCase {
  const char* path;
  const char* word;
  friend std::ostream& operator<<(std::ostream& out, const HelperCase& helper) { return out << helper.path; }
};

class HelperSockets : public RunTest, public testing::WithParamInterface<HelperCase> {};

TEST_P(HelperSockets, AreHiddenUnlessKept) {
  const HelperSocket helper(GetParam().path);
  for (const auto& credentials : {test_user(), root_user()}) {
    RunRequest hidden = python(connect_script(GetParam().path));
    hidden.credentials = credentials;
    EXPECT_EQ(run(hidden).output, "refused\n");
    if (!helper.usable()) continue;  // the host's own: hidden like ours, but nobody says that it answers
    RunRequest kept = hidden;
    kept.keep = keeping(GetParam().word);
    EXPECT_EQ(run(kept).output, "connected\n");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Confinement, HelperSockets,
    testing::Values(HelperCase{"/run/nscd/socket", "nscd"},
                    HelperCase{"/run/systemd/resolve/io.systemd.Resolve", "resolved"},
                    HelperCase{"/run/systemd/resolve/io.systemd.Resolve.Monitor", "resolved"},
                    HelperCase{"/run/avahi-daemon/socket", "avahi"}, HelperCase{"/var/lib/sss/pipes/nss", "sssd"},
                    HelperCase{"/run/docker.sock", "docker"}, HelperCase{"/run/podman/podman.sock", "podman"},
                    HelperCase{"/run/containerd/containerd.sock", "containerd"},
                    HelperCase{"/run/dbus/system_bus_socket", "dbus"}, HelperCase{"/run/systemd/private", "dbus"},
                    HelperCase{"/run/user/54321/bus", "dbus"}, HelperCase{"/run/namewall/socket", "bpffs"}),
    [](const auto& helper) {
      std::string name = helper.param.path;
      std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
      return name;
    });

TEST_F(Confinement, AWorkingDirectoryInsideAHiddenPlaceIsLeft) {
  const HelperSocket helper("/run/podman/podman.sock");
  if (!helper.usable()) GTEST_SKIP() << "/run/podman belongs to this host";
  RunRequest request = python("import os\nprint(os.getcwd())\n" + connect_script("podman.sock"));
  request.credentials = root_user();
  request.prepare = [] { ASSERT_EQ(::chdir("/run/podman"), 0); };
  EXPECT_EQ(run(request).output, "/\nrefused\n");
}

TEST_F(Confinement, TheHostsMountsAreAsBefore) {
  const auto read = [] {
    std::ifstream file("/proc/self/mountinfo");
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = read();
  EXPECT_EQ(run(shell("true")).status, 0);
  EXPECT_EQ(read(), before);
}

TEST_F(Confinement, InheritedInternetSocketsAndDirectoriesAreClosedAndFilesAreNot) {
  RunRequest request = shell("for fd in 20 21 22 23 24; do [ -e /proc/self/fd/$fd ] && echo $fd; done; true");
  request.prepare = [] {
    ::dup2(FileDescriptor(::socket(AF_INET, SOCK_STREAM, 0)).get(), 20);
    ::dup2(FileDescriptor(::socket(AF_PACKET, SOCK_RAW, 0)).get(), 21);
    ::dup2(FileDescriptor(::open("/", O_RDONLY | O_DIRECTORY)).get(), 22);
    ::dup2(FileDescriptor(::open("/dev/null", O_RDONLY)).get(), 23);
    ::dup2(FileDescriptor(::socket(AF_UNIX, SOCK_STREAM, 0)).get(), 24);
  };
  EXPECT_EQ(run(request).output, "23\n24\n");
  request.keep = keeping("fds");
  EXPECT_EQ(run(request).output, "20\n21\n22\n23\n24\n");
}

TEST_F(Confinement, AnInheritedCgroupFileIsClosed) {
  const std::string procs = agent::find_own_cgroup_directory().value() + "/cgroup.procs";
  RunRequest request = shell("if [ -e /proc/self/fd/20 ]; then echo open; else echo closed; fi");
  request.prepare = [&] { ::dup2(FileDescriptor(::open(procs.c_str(), O_WRONLY)).get(), 20); };
  EXPECT_EQ(run(request).output, "closed\n");
}

TEST_F(Confinement, BubblewrapWorksInside) {
  if (!std::filesystem::exists("/usr/bin/bwrap")) GTEST_SKIP() << "bubblewrap is not installed";
  const RunResult result = run(shell(
      "bwrap --unshare-user --unshare-pid --ro-bind / / --proc /proc --dev /dev -- sh -c 'echo in $(id -u)' 2>&1"));
  EXPECT_EQ(result.output, "in 54321\n");
}

}  // namespace
}  // namespace namewall::kernel_tests
