#include "tests/kernel/support/supervised_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "agent/cgroup_tree.h"
#include "agent/launch.h"
#include "agent/signal_relay.h"

namespace namewall::kernel_tests {
namespace {

using agent::LaunchPlan;

std::vector<std::string> own_environment() {
  std::vector<std::string> environment;
  for (char** variable = ::environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  return environment;
}

[[noreturn]] void give_up(const std::string& message, int exit_code) {
  const ssize_t written = ::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(written < 0 ? 99 : exit_code);
}

[[noreturn]] void supervise(const RunRequest& request, int name_pipe) {
  if (request.prepare) request.prepare();
  const auto own = agent::find_own_cgroup_directory();
  if (!own) give_up(own.error().message(), 99);
  auto cgroup = agent::RunCgroup::create(*own);
  if (!cgroup) give_up(cgroup.error().message(), 99);
  const std::string path = *own + "/" + cgroup->name();
  if (::write(name_pipe, path.data(), path.size()) < 0) give_up("no reader", 99);
  ::close(name_pipe);
  auto signals = agent::SignalRelay::open();
  if (!signals) give_up(signals.error().message(), 99);
  LaunchPlan plan;
  plan.cgroup_fd = cgroup->fd();
  plan.arguments = request.arguments;
  plan.environment = agent::build_environment(own_environment(), request.credentials);
  plan.credentials = request.credentials;
  plan.keep = request.keep;
  auto command = agent::launch(plan, *signals);
  if (!command) {
    (void)cgroup->remove();
    give_up(command.error().message, command.error().exit_code);
  }
  for (;;) {
    pollfd ready{signals->fd(), POLLIN, 0};
    ::poll(&ready, 1, -1);
    const auto end = signals->handle(command->pidfd.get());
    if (!end) give_up(end.error().message(), 99);
    if (*end) agent::end_like(**end);
  }
}

}  // namespace

agent::Credentials test_user() {
  agent::Credentials user;
  user.uid = kTestUid;
  user.gid = kTestGid;
  user.groups = {kTestGid, kTestGroup};
  user.name = "ada";
  user.home = "/home/ada";
  user.shell = "/bin/sh";
  return user;
}

agent::Credentials root_user() { return agent::find_credentials("root").value(); }

agent::KeepSet keeping(const std::string& words) {
  agent::KeepSet keep;
  if (!keep.add_words(words)) std::abort();
  return keep;
}

RunRequest shell(const std::string& script) {
  RunRequest request;
  request.arguments = {"/bin/sh", "-c", script};
  return request;
}

RunRequest python(const std::string& script) {
  RunRequest request;
  request.arguments = {"/usr/bin/python3", "-c", script};
  return request;
}

SupervisedRun::SupervisedRun(const RunRequest& request) {
  int output[2];
  int name[2];
  if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(name, O_CLOEXEC) != 0) std::abort();
  supervisor_ = ::fork();
  if (supervisor_ == 0) {
    ::dup2(output[1], STDOUT_FILENO);
    ::dup2(output[1], STDERR_FILENO);
    supervise(request, name[1]);
  }
  ::close(output[1]);
  ::close(name[1]);
  output_ = output[0];
  char block[512];
  ssize_t count = 0;
  while ((count = ::read(name[0], block, sizeof block)) > 0) cgroup_.append(block, static_cast<std::size_t>(count));
  ::close(name[0]);
}

SupervisedRun::~SupervisedRun() {
  if (!waited_) {
    ::kill(supervisor_, SIGKILL);
    wait();
  }
  ::close(output_);
  if (cgroup_.empty() || ::access(cgroup_.c_str(), F_OK) != 0) return;
  const int kill_file = ::open((cgroup_ + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC);
  if (kill_file >= 0) {
    const ssize_t written = ::write(kill_file, "1", 1);
    (void)written;
    ::close(kill_file);
  }
  for (int tries = 0; tries < 200 && ::rmdir(cgroup_.c_str()) != 0 && errno == EBUSY; ++tries) ::usleep(10'000);
}

std::string SupervisedRun::read_line() {
  for (;;) {
    const std::size_t end = buffered_.find('\n');
    if (end != std::string::npos) {
      const std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    pollfd ready{output_, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) <= 0) return "";
    char block[4096];
    const ssize_t count = ::read(output_, block, sizeof block);
    if (count <= 0) return "";
    buffered_.append(block, static_cast<std::size_t>(count));
  }
}

std::string SupervisedRun::read_all() {
  std::string text = std::move(buffered_);
  buffered_.clear();
  char block[4096];
  for (;;) {
    pollfd ready{output_, POLLIN, 0};
    if (::poll(&ready, 1, 20'000) <= 0) return text + "(no end of output)";
    const ssize_t count = ::read(output_, block, sizeof block);
    if (count <= 0) return text;
    text.append(block, static_cast<std::size_t>(count));
  }
}

int SupervisedRun::wait(int options) {
  int status = 0;
  while (::waitpid(supervisor_, &status, options) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) || WIFSIGNALED(status)) waited_ = true;
  return status;
}

RunResult run(const RunRequest& request) {
  SupervisedRun supervised(request);
  RunResult result;
  result.output = supervised.read_all();
  result.status = supervised.wait();
  return result;
}

std::string find_missing_for_runs() {
  if (::geteuid() != 0) return "runs need root";
  const auto own = agent::find_own_cgroup_directory();
  return own ? "" : own.error().message();
}

}  // namespace namewall::kernel_tests
