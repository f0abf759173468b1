// What a process of the daemon may still do after it has started. Irreversible, and for single-threaded processes.
#pragma once

#include <sys/types.h>

#include <vector>

#include "policy/result.h"

namespace namewall::agent {

// CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW: all that the daemon itself runs with.
const std::vector<int>& daemon_capabilities();

// Becomes uid:gid without supplementary groups, with exactly `keep` permitted and effective, an empty ambient and
// inheritable set, a bounding set of `keep`, and no_new_privs. The process is no longer dumpable: its own /proc/self/fd
// and /proc/self/ns belong to root from now on. On an error the caller must exit: some of it may be done.
Result<void> drop_privileges(uid_t uid, gid_t gid, const std::vector<int>& keep);

// Stays uid 0, with exactly `keep`; uid 0 gives nothing on exec any more (SECBIT_NOROOT). Otherwise the same.
Result<void> keep_only_capabilities(const std::vector<int>& keep);

}  // namespace namewall::agent
