#include "agent/cgroup_child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

namespace namewall::agent {
namespace {

enum class Entry { kBegin, kMove };

// 0, or the errno.
int move_into(int cgroup_fd) {
  const FileDescriptor procs(::openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC));
  return procs && ::write(procs.get(), "0", 1) >= 0 ? 0 : errno;
}

siginfo_t reap(const FileDescriptor& pidfd) {
  siginfo_t end{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &end, WEXITED) != 0 && errno == EINTR) {
  }
  return end;
}

bool is_told_in_time(const FileDescriptor& reader, std::chrono::milliseconds patience) {
  pollfd told{reader.get(), POLLIN, 0};
  int ready = 0;
  while ((ready = ::poll(&told, 1, patience.count() == 0 ? -1 : static_cast<int>(patience.count()))) < 0 &&
         errno == EINTR) {
  }
  return ready > 0;
}

// nullopt: the child was killed before its first act.
Result<std::optional<CgroupChild>> try_start(int cgroup_fd, Entry entry, const std::function<void()>& body,
                                             std::chrono::milliseconds patience) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (entry == Entry::kBegin) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup_fd);
  }
  const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid < 0) return fail_errno(errno, "cannot start a process in the cgroup");
  if (pid == 0) {
    const int entry_error = entry == Entry::kMove ? move_into(cgroup_fd) : 0;
    const bool told = ::write(writer.get(), &entry_error, sizeof entry_error) == sizeof entry_error;
    if (!told || entry_error != 0) ::_exit(EXIT_FAILURE);
    writer.reset();
    body();
    ::_exit(EXIT_FAILURE);
  }
  CgroupChild child{pid, FileDescriptor(pidfd), entry == Entry::kMove};
  writer.reset();
  if (!is_told_in_time(reader, patience)) {
    ::kill(pid, SIGKILL);
    reap(child.pidfd);
    return fail_errno(ETIMEDOUT, "cannot start a process in the cgroup");
  }
  int entry_error = 0;
  ssize_t count = 0;
  while ((count = ::read(reader.get(), &entry_error, sizeof entry_error)) < 0 && errno == EINTR) {
  }
  if (count == sizeof entry_error && entry_error == 0) return child;
  const siginfo_t end = reap(child.pidfd);
  if (count == sizeof entry_error) return fail_errno(entry_error, "cannot move a process into the cgroup");
  if (end.si_code == CLD_KILLED && end.si_status == SIGKILL) return std::nullopt;
  return fail(ErrorKind::kSystem, "a process started in the cgroup ended before its first act");
}

}  // namespace

Result<CgroupChild> start_in_cgroup(int cgroup_fd, const std::function<void()>& body,
                                    std::chrono::milliseconds patience) {
  for (const Entry entry : {Entry::kBegin, Entry::kMove}) {
    Result<std::optional<CgroupChild>> child = try_start(cgroup_fd, entry, body, patience);
    if (!child) return tl::unexpected(child.error());
    if (*child) return std::move(**child);
  }
  return fail(ErrorKind::kSystem, "every process started in the cgroup is killed at once");
}

}  // namespace namewall::agent
