#include "agent/doctor_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "agent/cgroup_child.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

Result<pid_t> start_child(int cgroup_fd, const std::function<void()>& body) {
  if (cgroup_fd >= 0) {
    const Result<CgroupChild> child = start_in_cgroup(cgroup_fd, body);
    if (!child) return tl::unexpected(child.error());
    return child->pid;
  }
  const pid_t child = fork();
  if (child < 0) return fail_errno(errno, "cannot start a child process");
  if (child == 0) body();
  return child;
}

// `cgroup_fd` -1: the child stays where the parent is.
Result<std::string> ask(int cgroup_fd, const std::function<std::string()>& body,
                        const std::function<void()>& meanwhile) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  FileDescriptor answer(ends[0]);
  FileDescriptor told(ends[1]);
  const auto answer_in_child = [&] {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(10);  // whatever hangs is an answer too
    const std::string text = body() + "\n";
    _exit(write(told.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? EXIT_SUCCESS
                                                                                           : EXIT_FAILURE);
  };
  const Result<pid_t> child = start_child(cgroup_fd, answer_in_child);
  if (!child) return tl::unexpected(child.error());
  told.reset();
  std::string text;
  while (true) {
    if (meanwhile) meanwhile();
    pollfd ready{answer.get(), POLLIN, 0};
    if (meanwhile && poll(&ready, 1, 0) == 0) continue;
    std::array<char, 512> buffer{};
    const ssize_t count = read(answer.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  while (waitpid(*child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!text.ends_with('\n')) return fail(ErrorKind::kSystem, "the trial ended without an answer");
  text.pop_back();
  return text;
}

}  // namespace

Result<std::string> ask_child(const std::function<std::string()>& body) { return ask(-1, body, {}); }

Result<std::string> ask_child_in_cgroup(int cgroup_fd, const std::function<std::string()>& body,
                                        const std::function<void()>& meanwhile) {
  return ask(cgroup_fd, body, meanwhile);
}

}  // namespace namewall::agent
