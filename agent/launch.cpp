#include "agent/launch.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "agent/cgroup_child.h"
#include "agent/command.h"
#include "agent/hygiene.h"
#include "agent/inherited_descriptors.h"
#include "agent/seccomp_filter.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

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

// A name that PATH leads to nowhere, where execvp reports a directory of PATH that this user may not search.
bool is_found_nowhere(const std::string& name) {
  if (name.find('/') != std::string::npos) return false;
  const char* path = ::getenv("PATH");
  std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path;
  for (;;) {
    const std::size_t colon = rest.find(':');
    const std::string directory(rest.substr(0, colon));
    if (::access((directory.empty() ? name : directory + "/" + name).c_str(), F_OK) == 0) return false;
    if (colon == std::string_view::npos) return true;
    rest.remove_prefix(colon + 1);
  }
}

[[noreturn]] void become_command(const LaunchPlan& plan, const std::vector<int>& closed_descriptors,
                                 const SignalRelay& signals, int pipe_fd) {
  if (auto done = confine(plan, closed_descriptors); !done) give_up(pipe_fd, kExitOwnFailure, done.error().message());
  const std::vector<char*> arguments = pointers(plan.arguments);
  std::vector<char*> environment = pointers(plan.environment);
  ::environ = environment.data();  // execvp looks for PATH here
  signals.restore_for_command();
  ::execvp(arguments[0], arguments.data());
  int why = errno;
  if (why == EACCES && is_found_nowhere(plan.arguments[0])) why = ENOENT;
  const int exit_code = why == ENOENT ? kExitNotFound : kExitCannotExecute;
  give_up(pipe_fd, exit_code,
          std::string(exit_code == kExitNotFound ? "cannot find `" : "cannot execute `") +
              escape_for_display(plan.arguments[0]) + "`: " + std::strerror(why));
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
