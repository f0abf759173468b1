#include "agent/launch.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/cgroup_child.h"
#include "agent/command.h"
#include "agent/command_exec.h"
#include "agent/hygiene.h"
#include "agent/inherited_descriptors.h"
#include "agent/seccomp_filter.h"

namespace namewall::agent {
namespace {

// The child's last words: an exit code (one byte), then the message.
[[noreturn]] void give_up(int pipe_fd, int exit_code, const std::string& message) {
  const std::string words = static_cast<char>(exit_code) + message;
  const ssize_t written = ::write(pipe_fd, words.data(), words.size());
  ::_exit(written < 0 ? kExitOwnFailure : exit_code);
}

Result<void> confine(const LaunchPlan& plan, const std::vector<int>& closed_descriptors) {
  for (const int fd : closed_descriptors) ::close(fd);
  if (auto done = apply_hygiene(plan.keep); !done) return done;
  // While CAP_SYS_ADMIN is there: it needs no no_new_privs then, which may be kept off.
  if (auto done = apply_seccomp_filter(build_seccomp_filter(plan.keep)); !done) return done;
  if (auto done = apply_credentials(plan.credentials, plan.keep.has(Keep::kCapabilities)); !done) return done;
  if (!plan.keep.has(Keep::kPrivileges) && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return fail_errno(errno, "cannot set no_new_privs");
  }
  return {};
}

[[noreturn]] void become_command(const LaunchPlan& plan, const std::vector<int>& closed_descriptors,
                                 const SignalRelay& signals, int pipe_fd) {
  if (auto done = confine(plan, closed_descriptors); !done) give_up(pipe_fd, kExitOwnFailure, done.error().message());
  std::vector<char*> environment = exec_pointers(plan.environment);
  ::environ = environment.data();  // where the command is looked for
  signals.restore_for_command();
  const ExecFailure failure = exec_command(plan.arguments);
  give_up(pipe_fd, failure.exit_code, failure.message);
}

}  // namespace

tl::expected<LaunchedCommand, LaunchFailure> launch(const LaunchPlan& plan, const SignalRelay& signals) {
  const auto own_failure = [](const std::string& what, int error_number) {
    return tl::unexpected(LaunchFailure{kExitOwnFailure, what + ": " + std::strerror(error_number)});
  };
  LaunchedCommand command;
  if (!plan.keep.has(Keep::kDescriptors)) {
    Result<std::vector<int>> unsafe = find_unsafe_descriptors();
    if (!unsafe) return tl::unexpected(LaunchFailure{kExitOwnFailure, unsafe.error().message()});
    command.closed_descriptors = std::move(*unsafe);
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return own_failure("cannot make a pipe", errno);
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);

  Result<CgroupChild> child =
      start_in_cgroup(plan.cgroup_fd, [&] { become_command(plan, command.closed_descriptors, signals, writer.get()); });
  if (!child) return tl::unexpected(LaunchFailure{kExitOwnFailure, child.error().message()});
  command.pid = child->pid;
  command.pidfd = std::move(child->pidfd);
  writer.reset();
  std::string words;
  char block[1024];
  for (;;) {
    const ssize_t count = ::read(reader.get(), block, sizeof block);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    words.append(block, static_cast<std::size_t>(count));
  }
  if (words.empty()) return command;  // closed by exec (or the child was killed, which its end will tell)
  siginfo_t ended{};
  while (::waitid(P_PIDFD, static_cast<id_t>(command.pidfd.get()), &ended, WEXITED) != 0 && errno == EINTR) {
  }
  return tl::unexpected(LaunchFailure{static_cast<unsigned char>(words[0]), words.substr(1)});
}

}  // namespace namewall::agent
