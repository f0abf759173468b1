#include "agent/host/restrict_target.h"

#include <linux/capability.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace namewall::agent {
namespace {

constexpr std::uint64_t capability(int number) { return std::uint64_t{1} << number; }

// In the user namespace of the cgroups' owner.
constexpr std::uint64_t kWaysOut = capability(CAP_DAC_OVERRIDE) | capability(CAP_FOWNER) | capability(CAP_CHOWN) |
                                   capability(CAP_SETUID) | capability(CAP_SYS_ADMIN) | capability(CAP_SYS_PTRACE) |
                                   capability(CAP_SYS_MODULE) |
                                   // Gives itself any other, by a file or by the device that files are on.
                                   capability(CAP_SETFCAP) | capability(CAP_MKNOD) | capability(CAP_SYS_RAWIO);
// Of a user namespace below: over files whose owner it has.
constexpr std::uint64_t kOverMappedFiles =
    capability(CAP_DAC_OVERRIDE) | capability(CAP_FOWNER) | capability(CAP_CHOWN) | capability(CAP_SETUID);

bool has(const std::vector<IdRange>& ranges, std::uint32_t id) {
  return std::ranges::any_of(ranges,
                             [&](const IdRange& range) { return id >= range.first && id - range.first < range.count; });
}

}  // namespace

std::optional<ProcessIdentity> parse_process_identity(std::string_view status) {
  const auto rights = parse_process_rights(status);
  if (!rights) return std::nullopt;
  ProcessIdentity process;
  process.rights = *rights;
  bool has_parent = false, has_uids = false, has_state = false;
  std::istringstream lines{std::string(status)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string key;
    fields >> key;
    if (key == "PPid:") {
      has_parent = static_cast<bool>(fields >> process.parent);
    } else if (key == "NSpid:") {
      for (std::uint32_t number = 0; fields >> number;) process.numbers.push_back(number);
    } else if (key == "Uid:") {
      for (std::uint32_t& uid : process.uids) has_uids = static_cast<bool>(fields >> uid);
    } else if (key == "CapPrm:") {
      std::uint64_t permitted = 0;
      if (fields >> std::hex >> permitted) process.rights.effective |= permitted;
    } else if (key == "State:") {
      std::string state;
      has_state = static_cast<bool>(fields >> state);
      process.has_first_thread = state != "Z" && state != "X";
    }
  }
  if (!has_parent || !has_uids || !has_state || process.numbers.empty()) return std::nullopt;
  return process;
}

bool is_of_user(const ProcessIdentity& process, std::uint32_t uid) {
  return std::ranges::all_of(process.uids, [&](std::uint32_t own) { return own == uid; });
}

bool is_child_of(const ProcessIdentity& child, const ProcessIdentity& parent, std::uint32_t number) {
  const std::size_t level = parent.numbers.size() - 1;
  return child.parent == parent.numbers.front() && child.numbers.size() > level && child.numbers[level] == number;
}

std::vector<IdRange> parse_id_map(std::string_view text) {
  std::vector<IdRange> ranges;
  std::istringstream fields{std::string(text)};
  std::uint32_t inside = 0;
  for (IdRange range; fields >> inside >> range.first >> range.count;) ranges.push_back(range);
  return ranges;
}

bool may_leave(const ProcessRights& rights, const UserNamespace& users, std::span<const struct stat> procs) {
  if (users.is_readers && (rights.effective & kWaysOut) != 0) return true;
  return std::ranges::any_of(procs, [&](const struct stat& file) {
    if (file.st_uid == rights.uid || is_permitted(rights, file, 2)) return true;
    const bool takes_group = (rights.effective & capability(CAP_SETGID)) != 0 && (file.st_mode & S_IWGRP) != 0;
    if (users.is_readers) return takes_group;
    if (!has(users.gids, file.st_gid)) return false;
    return takes_group || ((rights.effective & kOverMappedFiles) != 0 && has(users.uids, file.st_uid));
  });
}

}  // namespace namewall::agent
