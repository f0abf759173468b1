// Descriptors that the caller left open and that would carry the command past its cgroup or its mount namespace:
// internet sockets keep the cgroup they were made in; directories are places behind the covers; BPF objects, io_uring
// instances and other processes' pidfds need no system call that a filter sees.
#pragma once

#include <vector>

#include "policy/result.h"

namespace namewall::agent {

// Those above 2 among the calling process's descriptors: sockets other than AF_UNIX, directories, files of cgroup and
// BPF file systems, and anonymous inodes of bpf, io_uring, perf, mount and pid. Files, pipes, terminals, AF_UNIX
// sockets, eventfds and the like stay. Close-on-exec ones do not count.
Result<std::vector<int>> find_unsafe_descriptors();

}  // namespace namewall::agent
