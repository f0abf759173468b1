#include "tests/kernel/support/network.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

namespace namewall::kernel_tests {
namespace {

OwnedFd open_own_netns() { return OwnedFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

void enter_netns(const OwnedFd& netns) {
  if (setns(netns.get(), CLONE_NEWNET) != 0) FAIL() << "setns: " << std::strerror(errno);
}

void enter_new_netns() {
  if (unshare(CLONE_NEWNET) != 0) FAIL() << "unshare(CLONE_NEWNET): " << std::strerror(errno);
}

// ip(8) reads many commands from its standard input at once.
void run_ip_batch(const std::string& commands) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[0], STDIN_FILENO);
    execlp("ip", "ip", "-batch", "-", nullptr);
    _exit(127);
  }
  close(ends[0]);
  const auto written = write(ends[1], commands.data(), commands.size());
  close(ends[1]);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(written == static_cast<ssize_t>(commands.size()) && status == 0) << "ip -batch failed on\n" << commands;
}

void await_carrier(const char* device) {
  const OwnedFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  for (int i = 0; i < 3000; ++i) {
    if (ioctl(any.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING) != 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL() << device << " has no carrier";
}

}  // namespace

void run_command(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const auto& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) ADD_FAILURE() << arguments[0] << " failed: " << WEXITSTATUS(status);
}

void write_sysctl(const std::string& path, const std::string& value) {
  std::ofstream file("/proc/sys/" + path);
  file << value << std::flush;
  if (!file) ADD_FAILURE() << "sysctl " << path << " = " << value << " failed";
}

Network::Network() : original_(open_own_netns()) {
  enter_new_netns();
  far_ = open_own_netns();
  run_ip_batch("link set lo up\n");
  write_sysctl("net/ipv6/conf/default/accept_dad", "0");
  write_sysctl("net/ipv4/conf/all/rp_filter", "0");
  write_sysctl("net/ipv4/conf/default/rp_filter", "0");
  enter_new_netns();
  near_ = open_own_netns();
  write_sysctl("net/ipv6/conf/default/accept_dad", "0");
  write_sysctl("net/ipv4/ping_group_range", "0 2147483647");
  // /proc/self/fd/N of ip(8) itself: it inherits the descriptor.
  fcntl(far_.get(), F_SETFD, 0);
  // Two ends of different index: the kernel tells of their carrier at once then, and within a second otherwise
  // (linkwatch_urgent_event, net/core/link_watch.c); until it does, a device drops what it should send.
  run_ip_batch(std::string("link set lo up\n") + "link add " + kNearDevice + " index 10 type veth peer name " +
               kFarDevice + " index 20 netns /proc/self/fd/" + std::to_string(far_.get()) + "\n");
  fcntl(far_.get(), F_SETFD, FD_CLOEXEC);
  run_ip_batch(std::string("addr add 10.77.0.2/24 dev ") + kNearDevice + "\n" + "addr add fd77::2/64 dev " +
               kNearDevice + " nodad\n" + "link set " + kNearDevice + " up\n");
  in_far([] {
    std::string commands = std::string("addr add 10.77.0.1/24 dev ") + kFarDevice + "\naddr add fd77::1/64 dev " +
                           kFarDevice + " nodad\nlink set " + kFarDevice + " up\n";
    for (const char* prefix : {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "100.64.0.0/10", "10.0.0.0/9",
                               "172.16.0.0/12", "169.254.169.254/32", "2001:db8::/32", "fd00::/16"}) {
      // Table main: the local table is asked first and would take 10.77.0.2 too.
      commands += std::string("route add local ") + prefix + " dev lo table main\n";
    }
    run_ip_batch(commands);
  });
  run_ip_batch("route add default via 10.77.0.1\nroute add default via fd77::1\n");
  await_carrier(kNearDevice);
  in_far([] { await_carrier(kFarDevice); });
}

Network::~Network() { enter_netns(original_); }

void Network::in_far(const std::function<void()>& body) const {
  enter_netns(far_);
  body();
  enter_netns(near_);
}

}  // namespace namewall::kernel_tests
