#include "agent/credentials.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

// 2^32 - 1 means "no change" to the kernel, so it is no id.
template <typename Id>
std::optional<Id> parse_id(std::string_view text) {
  Id id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == static_cast<Id>(-1)) return std::nullopt;
  return id;
}

void fill_from(const passwd& entry, Credentials& credentials) {
  credentials.uid = entry.pw_uid;
  credentials.gid = entry.pw_gid;
  credentials.name = entry.pw_name;
  credentials.home = entry.pw_dir;
  credentials.shell = entry.pw_shell;
}

void fill_groups(Credentials& credentials) {
  credentials.groups = {credentials.gid};
  if (credentials.name.empty()) return;
  int count = 64;
  do {
    credentials.groups.resize(static_cast<std::size_t>(count));
  } while (::getgrouplist(credentials.name.c_str(), credentials.gid, credentials.groups.data(), &count) < 0);
  credentials.groups.resize(static_cast<std::size_t>(count));
}

Result<gid_t> find_group(std::string_view text) {
  if (const std::optional<gid_t> gid = parse_id<gid_t>(text)) return *gid;
  const group* entry = ::getgrnam(std::string(text).c_str());
  if (entry == nullptr) return fail(ErrorKind::kNotFound, "there is no group `" + escape_for_display(text) + "`");
  return entry->gr_gid;
}

Result<void> drop_bounding_set(const std::vector<int>& keep_out, bool all) {
  for (int capability = 0; capability < 64; ++capability) {
    const int present = ::prctl(PR_CAPBSET_READ, capability);
    if (present < 0) break;  // EINVAL: behind the last one this kernel has
    if (present == 0 || (!all && std::ranges::find(keep_out, capability) == keep_out.end())) continue;
    if (::prctl(PR_CAPBSET_DROP, capability) != 0) {
      return fail_errno(errno, "cannot drop capability " + std::to_string(capability) + " from the bounding set");
    }
  }
  return {};
}

using CapabilitySets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

Result<void> set_capabilities(const CapabilitySets& sets) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return fail_errno(errno, "cannot set capabilities");
  return {};
}

Result<CapabilitySets> read_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  CapabilitySets sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return fail_errno(errno, "cannot read capabilities");
  return sets;
}

}  // namespace

Result<Credentials> find_credentials(std::string_view user_option) {
  const std::size_t colon = user_option.find(':');
  const std::string user(user_option.substr(0, colon));
  Credentials credentials;
  const std::optional<uid_t> uid = parse_id<uid_t>(user);
  const passwd* entry = uid ? ::getpwuid(*uid) : ::getpwnam(user.c_str());
  if (entry != nullptr) {
    fill_from(*entry, credentials);
  } else if (uid && colon != std::string_view::npos) {
    credentials.uid = *uid;
  } else if (uid) {
    return fail(ErrorKind::kNotFound,
                "the user database does not know uid " + user + "; write --user " + user + ":GID to use it");
  } else {
    return fail(ErrorKind::kNotFound, "there is no user `" + escape_for_display(user) + "`");
  }
  if (colon != std::string_view::npos) {
    const Result<gid_t> gid = find_group(user_option.substr(colon + 1));
    if (!gid) return tl::unexpected(gid.error());
    credentials.gid = *gid;
  }
  fill_groups(credentials);
  return credentials;
}

Result<Credentials> find_invoking_credentials(const char* sudo_uid, const char* sudo_gid, uid_t real_uid,
                                              gid_t real_gid) {
  Credentials credentials;
  credentials.uid = real_uid;
  credentials.gid = real_gid;
  if (sudo_uid != nullptr && sudo_gid != nullptr) {
    const std::optional<uid_t> uid = parse_id<uid_t>(sudo_uid);
    const std::optional<gid_t> gid = parse_id<gid_t>(sudo_gid);
    if (!uid || !gid) {
      return fail(ErrorKind::kInvalid, "SUDO_UID and SUDO_GID are not numbers; say who to run as with --user");
    }
    credentials.uid = *uid;
    credentials.gid = *gid;
  }
  if (const passwd* entry = ::getpwuid(credentials.uid)) {
    const gid_t gid = credentials.gid;
    fill_from(*entry, credentials);
    credentials.gid = gid;
  }
  fill_groups(credentials);
  return credentials;
}

std::vector<std::string> build_environment(const std::vector<std::string>& environment,
                                           const Credentials& credentials) {
  constexpr std::array<std::string_view, 8> kReplaced = {"HOME",     "USER",     "LOGNAME",   "SHELL",
                                                         "SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_COMMAND"};
  std::vector<std::string> result;
  for (const std::string& variable : environment) {
    const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
    if (std::ranges::find(kReplaced, name) == kReplaced.end()) result.push_back(variable);
  }
  result.push_back("HOME=" + (credentials.home.empty() ? "/" : credentials.home));
  if (!credentials.name.empty()) {
    result.push_back("USER=" + credentials.name);
    result.push_back("LOGNAME=" + credentials.name);
  }
  if (!credentials.shell.empty()) result.push_back("SHELL=" + credentials.shell);
  return result;
}

const std::vector<int>& dangerous_capabilities() {
  static const std::vector<int> capabilities = {CAP_NET_ADMIN,       CAP_NET_RAW,    CAP_SYS_ADMIN,  CAP_BPF,
                                                CAP_PERFMON,         CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_SYS_RAWIO,
                                                CAP_DAC_READ_SEARCH, CAP_MKNOD};
  return capabilities;
}

Result<void> apply_credentials(const Credentials& credentials, bool keep_capabilities) {
  if (!keep_capabilities) {
    if (auto dropped = drop_bounding_set(dangerous_capabilities(), !credentials.is_root()); !dropped) return dropped;
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return fail_errno(errno, "cannot clear the ambient capabilities");
  }
  if (::setgroups(credentials.groups.size(), credentials.groups.data()) != 0) {
    return fail_errno(errno, "cannot set the supplementary groups");
  }
  if (::setresgid(credentials.gid, credentials.gid, credentials.gid) != 0) {
    return fail_errno(errno, "cannot become gid " + std::to_string(credentials.gid));
  }
  if (::setresuid(credentials.uid, credentials.uid, credentials.uid) != 0) {
    return fail_errno(errno, "cannot become uid " + std::to_string(credentials.uid));
  }
  // Leaving uid 0 has emptied the effective and permitted sets, unless the caller's securebits say otherwise.
  Result<CapabilitySets> sets = read_capabilities();
  if (!sets) return tl::unexpected(sets.error());
  for (__user_cap_data_struct& half : *sets) {
    half.inheritable = 0;
    if (!credentials.is_root()) half.effective = half.permitted = 0;
  }
  if (credentials.is_root() && !keep_capabilities) {
    for (const int capability : dangerous_capabilities()) {
      __user_cap_data_struct& half = (*sets)[static_cast<std::size_t>(CAP_TO_INDEX(capability))];
      half.effective &= ~CAP_TO_MASK(capability);
      half.permitted &= ~CAP_TO_MASK(capability);
    }
  }
  return set_capabilities(*sets);
}

}  // namespace namewall::agent
