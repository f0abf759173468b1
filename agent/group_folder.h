// The groups of endpoints that are shipped, a file each. Who may write them may open every policy that names them:
// files that others than root may write are not read (host/policy_folder.h).
#pragma once

#include <string>
#include <vector>

#include "policy/policy.h"

namespace namewall::agent {

inline constexpr const char* kGroupFolder = "/usr/share/namewall/groups";

struct GroupFolder {
  std::vector<Group> groups;        // complete, sorted by file
  std::vector<std::string> errors;  // of files that are left out
};

// A folder that is not there is empty.
GroupFolder read_group_folder(const std::string& directory);

// Where the command looks: NAMEWALL_GROUPS, else kGroupFolder. The daemon goes by its options.
std::string group_folder_of_command();

}  // namespace namewall::agent
