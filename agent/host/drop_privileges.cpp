#include "agent/host/drop_privileges.h"

#include <grp.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

namespace namewall::agent {
namespace {

struct FreeCapabilities {
  void operator()(cap_t sets) const { cap_free(sets); }
};
using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, FreeCapabilities>;

Result<void> set_exactly(const std::vector<int>& keep) {
  const Capabilities sets(cap_init());
  if (!sets) return fail_errno(errno, "cannot build a capability set");
  for (const cap_flag_t flag : {CAP_PERMITTED, CAP_EFFECTIVE}) {
    if (!keep.empty() && cap_set_flag(sets.get(), flag, static_cast<int>(keep.size()), keep.data(), CAP_SET) != 0) {
      return fail_errno(errno, "cannot build a capability set");
    }
  }
  if (cap_set_proc(sets.get()) != 0) return fail_errno(errno, "cannot keep only the capabilities needed");
  return {};
}

Result<void> bound_to(const std::vector<int>& keep) {
  for (cap_value_t capability = 0; CAP_IS_SUPPORTED(capability); ++capability) {
    if (std::ranges::find(keep, capability) != keep.end()) continue;
    if (cap_drop_bound(capability) != 0) {
      return fail_errno(errno, "cannot drop capability " + std::to_string(capability) + " from the bounding set");
    }
  }
  if (cap_reset_ambient() != 0) return fail_errno(errno, "cannot clear the ambient capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot set no_new_privs");
  return {};
}

}  // namespace

const std::vector<int>& daemon_capabilities() {
  static const std::vector<int> capabilities = {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW};
  return capabilities;
}

Result<void> drop_privileges(uid_t uid, gid_t gid, const std::vector<int>& keep) {
  if (auto bounded = bound_to(keep); !bounded) return bounded;
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot keep capabilities across setuid");
  if (setgroups(0, nullptr) != 0) return fail_errno(errno, "cannot clear the supplementary groups");
  if (setresgid(gid, gid, gid) != 0) return fail_errno(errno, "cannot become gid " + std::to_string(gid));
  if (setresuid(uid, uid, uid) != 0) return fail_errno(errno, "cannot become uid " + std::to_string(uid));
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return fail_errno(errno, "cannot reset KEEPCAPS");
  return set_exactly(keep);
}

Result<void> keep_only_capabilities(const std::vector<int>& keep) {
  if (auto bounded = bound_to(keep); !bounded) return bounded;
  if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE) != 0) {
    return fail_errno(errno, "cannot take uid 0 its power (SECBIT_NOROOT)");
  }
  if (setgroups(0, nullptr) != 0) return fail_errno(errno, "cannot clear the supplementary groups");
  return set_exactly(keep);
}

}  // namespace namewall::agent
