#include "agent/host/process_rights.h"

#include <algorithm>
#include <sstream>
#include <string>

namespace namewall::agent {

std::optional<ProcessRights> parse_process_rights(std::string_view status) {
  ProcessRights rights;
  bool has_uid = false, has_gid = false, has_effective = false;
  std::istringstream lines{std::string(status)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string key;
    fields >> key;
    if (key == "Uid:" || key == "Gid:") {  // real, effective, saved, file system
      std::uint32_t id = 0, last = 0;
      int count = 0;
      while (fields >> id) last = id, ++count;
      if (count != 4) return std::nullopt;
      (key == "Uid:" ? rights.uid : rights.gid) = last;
      (key == "Uid:" ? has_uid : has_gid) = true;
    } else if (key == "Groups:") {
      for (gid_t group = 0; fields >> group;) rights.groups.push_back(group);
    } else if (key == "CapEff:") {
      has_effective = static_cast<bool>(fields >> std::hex >> rights.effective);
    }
  }
  if (!has_uid || !has_gid || !has_effective) return std::nullopt;
  return rights;
}

bool is_permitted(const ProcessRights& rights, const struct stat& file, unsigned wanted) {
  unsigned shift = 0;
  if (file.st_uid == rights.uid) {
    shift = 6;
  } else if (file.st_gid == rights.gid || std::ranges::find(rights.groups, file.st_gid) != rights.groups.end()) {
    shift = 3;
  }
  return (file.st_mode >> shift & wanted) == wanted;
}

bool has_writable_cgroup_mount(std::string_view mountinfo) {
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t separator = line.find(" - cgroup2 ");
    if (separator == std::string::npos) continue;
    std::istringstream fields(line.substr(0, separator));
    std::string id, parent, device, root, mount_point, options;
    fields >> id >> parent >> device >> root >> mount_point >> options;
    if (options == "rw" || options.starts_with("rw,")) return true;
  }
  return false;
}

}  // namespace namewall::agent
