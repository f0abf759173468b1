// A command started by agent/launch in a cgroup of its own and waited for as `namewall run` waits, but without BPF: the
// part of a run that confines and stands in for its command.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "agent/credentials.h"
#include "agent/keep_options.h"

namespace namewall::kernel_tests {

inline constexpr uid_t kTestUid = 54321;
inline constexpr gid_t kTestGid = 54322;
inline constexpr gid_t kTestGroup = 54323;

agent::Credentials test_user();
agent::Credentials root_user();
agent::KeepSet keeping(const std::string& words);

struct RunRequest {
  std::vector<std::string> arguments;
  agent::Credentials credentials = test_user();
  agent::KeepSet keep;
  std::function<void()> prepare;  // in the supervisor, before anything else
};
// sh -c SCRIPT
RunRequest shell(const std::string& script);
RunRequest python(const std::string& script);

class SupervisedRun {
 public:
  explicit SupervisedRun(const RunRequest& request);
  SupervisedRun& operator=(const SupervisedRun&) = delete;
  ~SupervisedRun();  // kills what still runs and removes the cgroup

  pid_t supervisor() const { return supervisor_; }
  const std::string& cgroup() const { return cgroup_; }
  // The next line of the command's output; "" at its end or after ten seconds.
  std::string read_line();
  // Everything up to its end: the command's stdout and stderr, the supervisor's messages.
  std::string read_all();
  // As waitpid(2): the supervisor's end. With WUNTRACED also its stops.
  int wait(int options = 0);

 private:
  pid_t supervisor_ = -1;
  bool waited_ = false;
  int output_ = -1;
  std::string cgroup_;
  std::string buffered_;
};

struct RunResult {
  int status = 0;  // of waitpid(2)
  std::string output;
};
RunResult run(const RunRequest& request);

// Why this host cannot run these tests; "" when it can.
std::string find_missing_for_runs();

}  // namespace namewall::kernel_tests
