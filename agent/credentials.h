// Who the command runs as: ids, groups, the environment that goes with them, and the capabilities that are left.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary, the primary one included
  // From the user database; empty when it does not know the uid.
  std::string name, home, shell;
  bool is_root() const { return uid == 0; }
};

// USER, UID, USER:GROUP or UID:GID. kNotFound: no such user or group. A uid that the user database does not know needs
// its group written out.
Result<Credentials> find_credentials(std::string_view user_option);

// Without --user: SUDO_UID and SUDO_GID where both are numbers, else `real_uid` with `real_gid`.
Result<Credentials> find_invoking_credentials(const char* sudo_uid, const char* sudo_gid, uid_t real_uid,
                                              gid_t real_gid);

// The environment of the command: `environment` with HOME, USER, LOGNAME and SHELL of the user, and without the SUDO_*
// variables, which no longer tell the truth. Variables of an unknown user are removed, but HOME is "/".
std::vector<std::string> build_environment(const std::vector<std::string>& environment, const Credentials& credentials);

// Of a root that was left its capabilities: those that would undo the confinement.
const std::vector<int>& dangerous_capabilities();

// Irreversible. Ids, groups, then capabilities: none for a user; for root the bounding set less
// dangerous_capabilities(). `keep_capabilities`: the bounding set stays, and so do root's capabilities. Ambient and
// inheritable sets are emptied either way.
Result<void> apply_credentials(const Credentials& credentials, bool keep_capabilities);

}  // namespace namewall::agent
