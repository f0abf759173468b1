// The system call filter around the command. cgroup programs see IPv4 and IPv6 sockets only: this refuses the other
// ways to the network (AF_PACKET, AF_VSOCK, AF_ALG, AF_XDP, ...), io_uring (which makes sockets without a system call
// that a filter sees), bpf(2), and the system calls of other ABIs, which would reach all of these by other numbers. It
// also refuses to type into the terminal, whose shell would run that outside.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "agent/keep_options.h"
#include "policy/result.h"

namespace namewall::agent {

// socket and socketpair: EAFNOSUPPORT unless AF_UNIX, AF_INET, AF_INET6, or AF_NETLINK with NETLINK_ROUTE.
// io_uring_*: ENOSYS. bpf, ioctl with TIOCSTI or TIOCLINUX, any call of another ABI: EPERM. Less what is kept. Empty
// when all of it is kept.
std::vector<sock_filter> build_seccomp_filter(const KeepSet& keep);

// For this process and its descendants, irreversibly. Needs CAP_SYS_ADMIN or no_new_privs.
Result<void> apply_seccomp_filter(const std::vector<sock_filter>& filter);

}  // namespace namewall::agent
