// A run's command: where it starts, how it ends, and what the terminal and signals do to it.
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "agent/cgroup_tree.h"
#include "tests/kernel/support/run_test.h"
#include "tests/kernel/support/throwaway_cgroup.h"

namespace namewall::kernel_tests {
namespace {

using testing::HasSubstr;

class Launch : public RunTest {};

TEST_F(Launch, PassesTheExitCodeThrough) {
  for (const int code : {0, 1, 42, 125, 255}) {
    const RunResult result = run(shell("exit " + std::to_string(code)));
    ASSERT_TRUE(WIFEXITED(result.status)) << result.output;
    EXPECT_EQ(WEXITSTATUS(result.status), code);
  }
}

TEST_F(Launch, DiesByTheSignalThatTheCommandDiedBy) {
  for (const int signal_number : {SIGTERM, SIGKILL, SIGINT, SIGSEGV, SIGPIPE}) {
    const RunResult result = run(shell("kill -" + std::to_string(signal_number) + " $$"));
    ASSERT_TRUE(WIFSIGNALED(result.status)) << signal_number;
    EXPECT_EQ(WTERMSIG(result.status), signal_number);
    EXPECT_FALSE(WCOREDUMP(result.status));
  }
}

TEST_F(Launch, SaysNotFoundWith127) {
  RunRequest request;
  request.arguments = {"no-such-command-anywhere"};
  SupervisedRun supervised(request);
  EXPECT_THAT(supervised.read_all(), HasSubstr("cannot find `no-such-command-anywhere`"));
  const int status = supervised.wait();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 127);
  EXPECT_FALSE(std::filesystem::exists(supervised.cgroup())) << "nothing remains of a run that did not start";
}

TEST_F(Launch, SaysNotExecutableWith126) {
  RunRequest request;
  request.arguments = {"/etc/passwd"};
  const RunResult result = run(request);
  ASSERT_TRUE(WIFEXITED(result.status));
  EXPECT_EQ(WEXITSTATUS(result.status), 126);
  EXPECT_THAT(result.output, HasSubstr("cannot execute `/etc/passwd`"));
}

TEST_F(Launch, StartsTheCommandInsideTheCgroup) {
  SupervisedRun supervised(shell("grep ^0:: /proc/self/cgroup"));
  const std::string line = supervised.read_line();
  EXPECT_THAT(line, HasSubstr("namewall-run-" + std::to_string(supervised.supervisor())));
  supervised.wait();
}

// A cgroup that cgroup.kill once ended, with nobody in it.
void end_by_cgroup_kill(const ThrowawayCgroup& cgroup) {
  const pid_t member = ::fork();
  if (member == 0) {
    cgroup.enter();
    ::pause();
    ::_exit(0);
  }
  pid_t inside = 0;
  while (inside != member) std::ifstream(cgroup.path() + "/cgroup.procs") >> inside;
  std::ofstream(cgroup.path() + "/cgroup.kill") << "1" << std::flush;
  ASSERT_EQ(::waitpid(member, nullptr, 0), member);
}

TEST_F(Launch, StartsTheCommandInsideWhereTheKernelKillsWhatBeginsThere) {
  const ThrowawayCgroup outer;
  end_by_cgroup_kill(outer);
  RunRequest request = shell("grep ^0:: /proc/self/cgroup; exit 7");
  request.prepare = [&] { ASSERT_TRUE(outer.enter()); };
  const RunResult result = run(request);
  EXPECT_THAT(result.output, testing::ContainsRegex("^0::[^\n]*/nwharness-[^\n]*/namewall-run-[0-9]+\n$"));
  EXPECT_TRUE(WIFEXITED(result.status) && WEXITSTATUS(result.status) == 7) << result.status;
}

TEST_F(Launch, StartsACommandOnceThatKillsItselfAtOnce) {
  const RunResult result = run(shell("echo once; kill -KILL $$"));
  EXPECT_EQ(result.output, "once\n");
  EXPECT_TRUE(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGKILL);
}

TEST_F(Launch, KeepsTheProcessGroupAndSession) {
  RunRequest request = shell("cut -d' ' -f5,6 /proc/self/stat");
  SupervisedRun supervised(request);
  const std::string line = supervised.read_line();
  EXPECT_EQ(line, std::to_string(::getpgrp()) + " " + std::to_string(::getsid(0)));
  supervised.wait();
}

TEST_F(Launch, ACgroupIdIsWhatProgramsInTheKernelSee) {
  auto cgroup = agent::RunCgroup::create(agent::find_own_cgroup_directory().value());
  ASSERT_TRUE(cgroup);
  struct {
    file_handle handle;
    std::uint64_t id;
  } named{};
  named.handle.handle_bytes = sizeof named.id;
  int mount_id = 0;
  ASSERT_EQ(::name_to_handle_at(cgroup->fd(), "", &named.handle, &mount_id, AT_EMPTY_PATH), 0);
  std::uint64_t id = 0;
  std::memcpy(&id, named.handle.f_handle, sizeof id);
  EXPECT_EQ(cgroup->id(), id);
  EXPECT_TRUE(cgroup->remove());
}

TEST_F(Launch, ABackgroundProcessKeepsTheCgroupPopulatedUntilItEnds) {
  SupervisedRun supervised(shell("sleep 60 >/dev/null 2>&1 & echo $!"));
  const pid_t background = std::stoi(supervised.read_line());
  EXPECT_TRUE(WIFEXITED(supervised.wait()));
  std::ifstream procs(supervised.cgroup() + "/cgroup.procs");
  pid_t inside = 0;
  procs >> inside;
  EXPECT_EQ(inside, background);
  // The next command must not touch it.
  agent::remove_leftovers(agent::find_own_cgroup_directory().value());
  EXPECT_TRUE(std::filesystem::exists(supervised.cgroup()));
}

TEST_F(Launch, LeftoversOfADeadMakerAreRemovedAndThoseOfALivingOneAreNot) {
  const std::string own = agent::find_own_cgroup_directory().value();
  auto living = agent::RunCgroup::create(own);
  ASSERT_TRUE(living);
  const pid_t maker = ::fork();
  if (maker == 0) {
    const auto dead = agent::RunCgroup::create(own);
    ::mkdir((own + "/" + dead->name() + "/below").c_str(), 0755);
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(maker, nullptr, 0), maker);
  const std::string left = own + "/namewall-run-" + std::to_string(maker);
  ASSERT_TRUE(std::filesystem::exists(left + "/below"));
  EXPECT_GE(agent::remove_leftovers(own), 1u);
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(own + "/" + living->name()));
  EXPECT_TRUE(living->remove());
}

TEST_F(Launch, KillAllEndsEveryProcessOfTheCgroup) {
  auto cgroup = agent::RunCgroup::create(agent::find_own_cgroup_directory().value());
  ASSERT_TRUE(cgroup);
  const std::string procs = agent::find_own_cgroup_directory().value() + "/" + cgroup->name() + "/cgroup.procs";
  const pid_t member = ::fork();
  if (member == 0) {
    std::ofstream(procs) << "0" << std::flush;
    ::signal(SIGTERM, SIG_IGN);
    ::pause();
    ::_exit(0);
  }
  while (!cgroup->is_populated().value()) ::usleep(1000);
  EXPECT_FALSE(cgroup->remove()) << "a populated cgroup is not removed";
  ASSERT_TRUE(cgroup->kill_all());
  int status = 0;
  ASSERT_EQ(::waitpid(member, &status, 0), member);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_TRUE(cgroup->remove());
}

TEST_F(Launch, WorksInADirectoryThatTheUserCannotRead) {
  const std::string directory = "/tmp/nwrun-closed-" + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  RunRequest request = shell("echo started");
  request.prepare = [&] { ASSERT_EQ(::chdir(directory.c_str()), 0); };
  EXPECT_THAT(run(request).output, HasSubstr("started"));
  ::rmdir(directory.c_str());
}

TEST_F(Launch, AClosedStdinStaysClosed) {
  RunRequest request = shell("if [ -e /proc/self/fd/0 ]; then echo open; else echo closed; fi");
  request.prepare = [] { ::close(STDIN_FILENO); };
  // The supervisor's own descriptors may take the number, and close on exec.
  EXPECT_EQ(run(request).output, "closed\n");
}

TEST_F(Launch, ASignalSentToTheSupervisorAloneReachesTheCommand) {
  for (const std::string name : {"TERM", "HUP", "USR1", "USR2", "INT", "QUIT"}) {
    SupervisedRun supervised(
        shell("trap 'echo got " + name + "; exit 7' " + name + "; echo ready; while :; do sleep 0.05; done"));
    ASSERT_EQ(supervised.read_line(), "ready");
    const int number = name == "TERM"   ? SIGTERM
                       : name == "HUP"  ? SIGHUP
                       : name == "USR1" ? SIGUSR1
                       : name == "USR2" ? SIGUSR2
                       : name == "INT"  ? SIGINT
                                        : SIGQUIT;
    ::kill(supervised.supervisor(), number);
    EXPECT_EQ(supervised.read_line(), "got " + name);
    const int status = supervised.wait();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << name;
  }
}

TEST_F(Launch, StopsWithTheCommandAndContinuesIt) {
  SupervisedRun supervised(shell("echo $$; kill -STOP $$; echo continued; exit 5"));
  const pid_t command = std::stoi(supervised.read_line());
  int status = supervised.wait(WUNTRACED);
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_EQ(WSTOPSIG(status), SIGSTOP);
  EXPECT_EQ(::kill(command, 0), 0);
  ::kill(supervised.supervisor(), SIGCONT);
  EXPECT_EQ(supervised.read_line(), "continued");
  status = supervised.wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

TEST_F(Launch, IgnoredSignalsStayIgnoredForTheCommand) {
  RunRequest request = shell("grep -E '^Sig(Ign|Blk)' /proc/self/status");
  request.prepare = [] {
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGPIPE, SIG_DFL);
  };
  const std::string output = run(request).output;
  EXPECT_THAT(output, HasSubstr("SigBlk:\t0000000000000000"));
  const std::size_t at = output.find("SigIgn:\t");
  ASSERT_NE(at, std::string::npos);
  const std::uint64_t ignored = std::stoull(output.substr(at + 8, 16), nullptr, 16);
  EXPECT_NE(ignored & (1u << (SIGHUP - 1)), 0u);
  EXPECT_EQ(ignored & (1u << (SIGPIPE - 1)), 0u);
}

TEST_F(Launch, ControlCOnTheTerminalReachesTheCommandOnce) {
  int terminal = -1;
  const pid_t leader = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  ASSERT_GE(leader, 0);
  if (leader == 0) {
    RunRequest request = python(
        "import signal,time\n"
        "count=0\n"
        "def got(*a):\n"
        "  global count; count+=1\n"
        "signal.signal(signal.SIGINT,got)\n"
        "t=open('/dev/tty','w'); t.write('ready\\n'); t.flush()\n"
        "end=time.monotonic()+10\n"
        "while count==0 and time.monotonic()<end: time.sleep(0.05)\n"
        "time.sleep(0.3)\n"
        "raise SystemExit(100+count)\n");
    ::signal(SIGINT, SIG_IGN);
    request.prepare = [] { ::signal(SIGINT, SIG_DFL); };
    const int status = run(request).status;
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
  }
  std::string seen;
  char block[256];
  while (seen.find("ready") == std::string::npos) {
    const ssize_t count = ::read(terminal, block, sizeof block);
    ASSERT_GT(count, 0) << seen;
    seen.append(block, static_cast<std::size_t>(count));
  }
  ASSERT_EQ(::write(terminal, "\x03", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(leader, &status, 0), leader);
  ::close(terminal);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 101);
}

TEST_F(Launch, TheCommandOutlivesAKilledSupervisorInItsCgroup) {
  SupervisedRun supervised(shell("echo ready; sleep 0.3; grep ^0:: /proc/self/cgroup; sleep 60"));
  ASSERT_EQ(supervised.read_line(), "ready");
  ::kill(supervised.supervisor(), SIGKILL);
  supervised.wait();
  EXPECT_THAT(supervised.read_line(), HasSubstr("namewall-run-" + std::to_string(supervised.supervisor())));
}

}  // namespace
}  // namespace namewall::kernel_tests
