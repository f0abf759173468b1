#include "bench/worker/placement.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace namewall::bench {
namespace {

constexpr int kBacklog = 8192;  // more than the connections of one slice

Result<Descriptor> bind_to_any(int type, std::uint16_t& port) {
  Descriptor socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return fail_errno(errno, "make a server socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  socklen_t length = sizeof(address);
  const int again = 1;  // a port of ours may have connections of the worker before in TIME_WAIT
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &again, sizeof(again));
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) != 0)
    return fail_errno(errno, "bind a server socket");
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return fail_errno(errno, "read the port of a server socket");
  port = ntohs(address.sin_port);
  return socket;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.fd_;
    other.fd_ = -1;
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Result<void> pin_to_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) return fail_errno(errno, "pin to CPU " + std::to_string(cpu));
  return {};
}

Result<void> take_real_time_priority() {
  sched_param lowest{};
  lowest.sched_priority = 1;
  if (sched_setscheduler(0, SCHED_FIFO, &lowest) != 0) return fail_errno(errno, "take real-time priority");
  return {};
}

Result<void> join_cgroup(const std::string& path) {
  const Descriptor procs(open((path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (procs.get() < 0) return fail_errno(errno, "open cgroup.procs of " + path);
  if (write(procs.get(), "0", 1) != 1) return fail_errno(errno, "enter " + path);
  return {};
}

Result<void> within_network_namespace(const std::string& path, const std::function<Result<void>()>& make) {
  const Descriptor own(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  const Descriptor other(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (own.get() < 0 || other.get() < 0) return fail_errno(errno, "open the network namespace " + path);
  if (setns(other.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "enter the network namespace " + path);
  Result<void> made = make();
  if (setns(own.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "return from the network namespace " + path);
  return made;
}

Result<Descriptor> listen_on_any(std::uint16_t& port) {
  Result<Descriptor> socket = bind_to_any(SOCK_STREAM | SOCK_NONBLOCK, port);
  if (!socket) return socket;
  if (listen(socket->get(), kBacklog) != 0) return fail_errno(errno, "listen");
  return socket;
}

Result<Descriptor> open_sink(std::uint16_t& port) {
  Result<Descriptor> socket = bind_to_any(SOCK_DGRAM, port);
  if (!socket) return socket;
  const int smallest = 1;
  if (setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)) != 0)
    return fail_errno(errno, "shrink the sink's buffer");
  return socket;
}

}  // namespace namewall::bench
