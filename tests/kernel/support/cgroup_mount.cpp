#include "tests/kernel/support/cgroup_mount.h"

#include <fstream>
#include <sstream>

namespace namewall::kernel_tests {
namespace {

// mountinfo: id parent major:minor root mount-point options [tags...] - type source options
std::optional<std::string> find_cgroup2_mount() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto separator = line.find(" - cgroup2 ");
    if (separator == std::string::npos) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    fields >> id >> parent >> device >> root >> point;
    if (root == "/") return point;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> find_own_cgroup() {
  const auto mount = find_cgroup2_mount();
  if (!mount) return std::nullopt;
  std::ifstream memberships("/proc/self/cgroup");
  for (std::string line; std::getline(memberships, line);) {
    if (line.rfind("0::", 0) == 0) return *mount + (line == "0::/" ? "" : line.substr(3));
  }
  return std::nullopt;
}

}  // namespace namewall::kernel_tests
