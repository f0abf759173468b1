#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "libnamewall/namewall.h"
#include "tests/unit/libnamewall/fake_control_socket.h"

namespace namewall::libnamewall_tests {
namespace {

namewall_request request_to(const FakeControlSocket& daemon) {
  namewall_request request = NAMEWALL_REQUEST_INIT;
  request.socket_path = daemon.path();
  return request;
}

// A child that lives until the object ends, and its pidfd.
class IdleChild {
 public:
  explicit IdleChild(bool ends_at_once = false) {
    pid_ = ::fork();
    if (pid_ == 0) {
      while (!ends_at_once) ::pause();
      ::_exit(0);
    }
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (ends_at_once) {
      siginfo_t ended{};
      ::waitid(P_PIDFD, static_cast<id_t>(pidfd_), &ended, WEXITED | WNOWAIT);
    }
  }
  ~IdleChild() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(pidfd_);
  }
  IdleChild(const IdleChild&) = delete;
  IdleChild& operator=(const IdleChild&) = delete;
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_; }

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
};

TEST(NamewallRestrict, SelfAsksForTheCallerAndTellsTheOutcome) {
  const FakeControlSocket daemon(answer(200, kNarrowed));
  namewall_request request = request_to(daemon);
  const char* const allow[] = {"https://a.example"};
  request.allow = allow;
  request.allow_count = 1;
  request.label = "plugin-7";
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  EXPECT_EQ(namewall_restrict_self(&request, &outcome), NAMEWALL_OK);
  EXPECT_STREQ(outcome.workload, "web:restrict-1");
  EXPECT_GE(outcome.kept_sockets, 0);
  ASSERT_EQ(daemon.requests().size(), 1u);
  EXPECT_NE(daemon.requests()[0].find(R"({"allow":["https://a.example"],"cooperative":false,"label":"plugin-7"})"),
            std::string::npos);
}

TEST(NamewallRestrict, CountsInternetSocketsThatAreKept) {
  const FakeControlSocket daemon(answer(200, kNarrowed));
  const namewall_request request = request_to(daemon);
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  ASSERT_EQ(namewall_restrict_self(&request, &outcome), NAMEWALL_OK);
  const int before = outcome.kept_sockets;
  const int fds[] = {::socket(AF_INET, SOCK_STREAM, 0), ::socket(AF_INET6, SOCK_DGRAM, 0),
                     ::socket(AF_UNIX, SOCK_STREAM, 0)};
  ASSERT_EQ(namewall_restrict_self(&request, &outcome), NAMEWALL_OK);
  EXPECT_EQ(outcome.kept_sockets, before + 2);
  const IdleChild child;  // has them too
  ASSERT_EQ(namewall_restrict_child(child.pidfd(), &request, &outcome), NAMEWALL_OK);
  EXPECT_EQ(outcome.kept_sockets, before + 2);
  for (const int fd : fds) ::close(fd);
}

TEST(NamewallRestrict, AChildIsNamedByItsNumber) {
  const FakeControlSocket daemon(answer(200, kNarrowed));
  const namewall_request request = request_to(daemon);
  const IdleChild child;
  EXPECT_EQ(namewall_restrict_child(child.pidfd(), &request, nullptr), NAMEWALL_OK);
  EXPECT_NE(daemon.requests().at(0).find("\"child\":" + std::to_string(child.pid()) + "}"), std::string::npos);
}

TEST(NamewallRestrict, NobodyIsAskedAboutWhatIsNoLivingChild) {
  const FakeControlSocket daemon(answer(200, kNarrowed));
  const namewall_request request = request_to(daemon);
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  const IdleChild ended(true);
  EXPECT_EQ(namewall_restrict_child(ended.pidfd(), &request, &outcome), NAMEWALL_NO_PROCESS);
  EXPECT_STREQ(outcome.sentence, "the process has ended, or is no child of this one");
  const int own = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  const int parent = static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0));
  EXPECT_EQ(namewall_restrict_child(own, &request, &outcome), NAMEWALL_NO_PROCESS);
  EXPECT_EQ(namewall_restrict_child(parent, &request, &outcome), NAMEWALL_NO_PROCESS);
  ::close(own);
  ::close(parent);
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(namewall_restrict_child(file, &request, &outcome), NAMEWALL_BAD_REQUEST);
  ::close(file);
  EXPECT_EQ(namewall_restrict_child(-1, &request, &outcome), NAMEWALL_BAD_REQUEST);
  EXPECT_TRUE(daemon.requests().empty());
}

TEST(NamewallRestrict, AChildThatEndsMeanwhileIsNoSuccess) {
  const IdleChild child;
  const FakeControlSocket daemon([&](int connection, const std::string&) {
    ::kill(child.pid(), SIGKILL);
    siginfo_t ended{};
    ::waitid(P_PIDFD, static_cast<id_t>(child.pidfd()), &ended, WEXITED | WNOWAIT);
    say(connection, answer(200, kNarrowed));
  });
  const namewall_request request = request_to(daemon);
  EXPECT_EQ(namewall_restrict_child(child.pidfd(), &request, nullptr), NAMEWALL_NO_PROCESS);
}

TEST(NamewallRestrict, BadRequestsReachNoDaemon) {
  const FakeControlSocket daemon(answer(200, kNarrowed));
  EXPECT_EQ(namewall_restrict_self(nullptr, nullptr), NAMEWALL_BAD_REQUEST);
  namewall_request request = request_to(daemon);
  request.size = 8;
  EXPECT_EQ(namewall_restrict_self(&request, nullptr), NAMEWALL_BAD_REQUEST);
  request = request_to(daemon);
  request.flags = 1u << 7;
  EXPECT_EQ(namewall_restrict_self(&request, nullptr), NAMEWALL_BAD_REQUEST);
  request = request_to(daemon);
  request.allow_count = 1;
  EXPECT_EQ(namewall_restrict_self(&request, nullptr), NAMEWALL_BAD_REQUEST);
  const char* const allow[] = {"https://a.example", nullptr};
  request.allow = allow;
  request.allow_count = 2;
  EXPECT_EQ(namewall_restrict_self(&request, nullptr), NAMEWALL_BAD_REQUEST);
  request = request_to(daemon);
  request.flags = NAMEWALL_COOPERATIVE;
  const IdleChild child;
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  EXPECT_EQ(namewall_restrict_child(child.pidfd(), &request, &outcome), NAMEWALL_BAD_REQUEST);
  EXPECT_NE(std::strstr(outcome.sentence, "NAMEWALL_COOPERATIVE"), nullptr);
  EXPECT_TRUE(daemon.requests().empty());
}

TEST(NamewallRestrict, ALaterVersionsRequestIsTakenWhereItAsksForNothingNew) {
  const FakeControlSocket daemon(answer(200, kNarrowed));
  struct {
    namewall_request known;
    std::uint64_t later[2];
  } request = {request_to(daemon), {0, 0}};
  request.known.size = sizeof request;
  EXPECT_EQ(namewall_restrict_self(&request.known, nullptr), NAMEWALL_OK);
  request.later[1] = 1;
  EXPECT_EQ(namewall_restrict_self(&request.known, nullptr), NAMEWALL_UNSUPPORTED);
}

TEST(NamewallRestrict, AnOutcomeIsWrittenUpToItsSizeAndNoFurther) {
  const FakeControlSocket daemon(answer(200, kNarrowed));
  const namewall_request request = request_to(daemon);
  union {
    namewall_outcome outcome;
    unsigned char bytes[sizeof(namewall_outcome) + 64];
  } room;
  std::memset(room.bytes, 0xaa, sizeof room.bytes);
  room.outcome.size = 40;
  EXPECT_EQ(namewall_restrict_self(&request, &room.outcome), NAMEWALL_OK);
  EXPECT_EQ(room.outcome.size, 40u);
  EXPECT_EQ(room.outcome.cgroup_id, 4711u);
  for (std::size_t i = 40; i < sizeof room.bytes; ++i) ASSERT_EQ(room.bytes[i], 0xaa) << i;
  room.outcome.size = sizeof room.outcome + 32;  // a later version's
  EXPECT_EQ(namewall_restrict_self(&request, &room.outcome), NAMEWALL_OK);
  for (std::size_t i = 0; i < 32; ++i) ASSERT_EQ(room.bytes[sizeof room.outcome + i], 0) << i;
  for (std::size_t i = 32; i < 64; ++i) ASSERT_EQ(room.bytes[sizeof room.outcome + i], 0xaa) << i;
}

TEST(NamewallRestrict, WithoutADaemonItSaysWhere) {
  namewall_request request = NAMEWALL_REQUEST_INIT;
  request.socket_path = "/nonexistent/control.sock";
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  EXPECT_EQ(namewall_restrict_self(&request, &outcome), NAMEWALL_NO_DAEMON);
  EXPECT_STREQ(outcome.sentence, "nothing listens at /nonexistent/control.sock: namewalld does not run");
}

TEST(NamewallRestrict, ADaemonThatIsSlowIsToldByTheCallersTime) {
  const FakeControlSocket daemon([](int connection, const std::string&) { wait_for_end(connection); });
  namewall_request request = request_to(daemon);
  request.timeout_ms = 50;
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  EXPECT_EQ(namewall_restrict_self(&request, &outcome), NAMEWALL_TIMEOUT);
  EXPECT_NE(std::strstr(outcome.sentence, "not known"), nullptr);
}

TEST(NamewallRestrict, AnAnswerThatMakesNoSenseIsNoSuccess) {
  for (const std::string& whole : {answer(200, "{}"), answer(200, "nonsense"), std::string("nonsense")}) {
    const FakeControlSocket daemon(whole);
    const namewall_request request = request_to(daemon);
    namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
    EXPECT_EQ(namewall_restrict_self(&request, &outcome), NAMEWALL_BAD_ANSWER) << whole;
    EXPECT_STRNE(outcome.sentence, "");
  }
}

TEST(NamewallRestrict, NothingIsGivenUpForADaemonThatCannotNarrow) {
  const FakeControlSocket daemon(answer(404, R"({"error":{"code":"unknown_path","sentence":"no","exit_code":1}})"));
  namewall_request request = request_to(daemon);
  request.flags = NAMEWALL_COOPERATIVE;
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  EXPECT_EQ(namewall_restrict_self(&request, &outcome), NAMEWALL_UNSUPPORTED);
  EXPECT_EQ(outcome.flags, 0u);
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  ASSERT_NE(file, nullptr);
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    EXPECT_TRUE(std::strncmp(line, "NoNewPrivs:\t1", 13) != 0);
  }
  std::fclose(file);
}

TEST(NamewallRestrict, CooperativeIsForAllThreadsOrForNone) {
  const FakeControlSocket daemon([](int connection, const std::string& request) {
    const bool is_options = request.starts_with("OPTIONS");
    say(connection, is_options ? "HTTP/1.1 204 No Content\r\nAllow: POST, OPTIONS\r\n\r\n" : answer(200, kNarrowed));
  });
  namewall_request request = request_to(daemon);
  request.flags = NAMEWALL_COOPERATIVE;
  const auto ends_with = [&](bool is_threaded) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      pthread_t thread;
      if (is_threaded)
        ::pthread_create(
            &thread, nullptr, [](void*) -> void* { return ::pause(), nullptr; }, nullptr);
      namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
      const int result = namewall_restrict_self(&request, &outcome);
      const bool gave_up = (outcome.flags & NAMEWALL_GAVE_UP_WRITING) != 0;
      const bool is_refused = ::open("/sys/kernel/uevent_seqnum", O_WRONLY | O_CLOEXEC) < 0;
      ::_exit(gave_up == (result == NAMEWALL_OK) && is_refused ? -result : 100);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 1000;
  };
  const int alone = ends_with(false);
  if (alone == NAMEWALL_UNSUPPORTED) GTEST_SKIP() << "no Landlock here";
  EXPECT_EQ(alone, NAMEWALL_OK);
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  EXPECT_EQ(ends_with(true), abi >= 8 ? NAMEWALL_OK : NAMEWALL_MANY_THREADS);
}

TEST(NamewallAvailable, SaysWhetherThisDaemonCanNarrow) {
  const FakeControlSocket able("HTTP/1.1 204 No Content\r\nAllow: POST, OPTIONS\r\n\r\n");
  EXPECT_EQ(namewall_available(able.path()), NAMEWALL_OK);
  EXPECT_NE(able.requests().at(0).find("OPTIONS /v1/restrict HTTP/1.0\r\n"), std::string::npos);
  const FakeControlSocket old(answer(404, R"({"error":{"code":"unknown_path","sentence":"no","exit_code":1}})"));
  EXPECT_EQ(namewall_available(old.path()), NAMEWALL_UNSUPPORTED);
  const FakeControlSocket other(answer(200, "{}"));
  EXPECT_EQ(namewall_available(other.path()), NAMEWALL_UNSUPPORTED);
  EXPECT_EQ(namewall_available("/nonexistent/control.sock"), NAMEWALL_NO_DAEMON);
}

}  // namespace
}  // namespace namewall::libnamewall_tests
