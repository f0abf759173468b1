#include "tests/kernel/support/workload_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>

namespace namewall::kernel_tests {
namespace {

void make_pipe(OwnedFd& read_end, OwnedFd& write_end) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe: " << std::strerror(errno);
  read_end = OwnedFd(ends[0]);
  write_end = OwnedFd(ends[1]);
}

void write_all(int fd, const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n <= 0) _exit(3);
    done += static_cast<std::size_t>(n);
  }
}

constexpr int kExitCannotEnter = 99;

}  // namespace

Rendezvous::Rendezvous() {
  make_pipe(arrivals_read_, arrivals_write_);
  make_pipe(releases_read_, releases_write_);
}

void Rendezvous::arrive_and_wait() {
  char byte = 'a';
  if (write(arrivals_write_.get(), &byte, 1) != 1 || read(releases_read_.get(), &byte, 1) != 1) _exit(4);
}

bool Rendezvous::await_arrival(std::chrono::milliseconds timeout) {
  pollfd waiting{arrivals_read_.get(), POLLIN, 0};
  char byte;
  return poll(&waiting, 1, static_cast<int>(timeout.count())) == 1 && read(arrivals_read_.get(), &byte, 1) == 1;
}

void Rendezvous::release() {
  const char byte = 'r';
  if (write(releases_write_.get(), &byte, 1) != 1) ADD_FAILURE() << "release: " << std::strerror(errno);
}

WorkloadProcess::WorkloadProcess(const ThrowawayCgroup& cgroup, const std::function<std::string()>& body) {
  OwnedFd write_end;
  make_pipe(result_, write_end);
  pid_ = fork();
  if (pid_ < 0) ADD_FAILURE() << "fork: " << std::strerror(errno);
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  if (!cgroup.enter()) _exit(kExitCannotEnter);
  write_all(write_end.get(), body());
  _exit(0);
}

WorkloadProcess::WorkloadProcess(WorkloadProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), result_(std::move(other.result_)) {}

WorkloadProcess::~WorkloadProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string WorkloadProcess::wait(std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  std::string bytes;
  bool complete = false;
  while (!complete) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd waiting{result_.get(), POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) == 0) {
      ADD_FAILURE() << "the workload process did not finish in " << timeout.count() << " ms";
      return "";
    }
    char part[4096];
    const ssize_t n = read(result_.get(), part, sizeof(part));
    if (n > 0) bytes.append(part, static_cast<std::size_t>(n));
    complete = n <= 0;
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  if (WIFSIGNALED(status)) {
    ADD_FAILURE() << "the workload process died of signal " << WTERMSIG(status);
    return "";
  }
  if (WEXITSTATUS(status) != 0) {
    ADD_FAILURE() << (WEXITSTATUS(status) == kExitCannotEnter ? "the child could not enter its cgroup"
                                                              : "the workload process failed");
    return "";
  }
  return bytes;
}

}  // namespace namewall::kernel_tests
