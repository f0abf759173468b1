// /proc/self/mountinfo as values (proc_pid_mountinfo(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace namewall::agent {

struct Mount {
  std::string root;         // the directory of the file system that is mounted ("/" unless a bind mount)
  std::string mount_point;  // octal escapes resolved
  std::string fs_type;
};

// In the order of the text: a later mount at the same place covers an earlier one. Lines that do not parse are left
// out.
std::vector<Mount> parse_mountinfo(std::string_view text);

}  // namespace namewall::agent
