// Files whose text opens workloads: only root, and this process's own user, may be able to write them.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <string>

#include "policy/result.h"

namespace namewall::agent {

// kPermission: others than root may write it. `name` as messages show it.
Result<void> check_trusted(const struct stat& status, const std::string& name);

// Of a regular file below `directory`; never blocks on a FIFO or device. Errors: kPermission as above; kInvalid, no
// regular file; kLimit, larger than `max` bytes; kNotFound.
Result<std::string> read_trusted_file(int directory, const char* path, const std::string& name, std::size_t max);

// Of an absolute path, every directory and symbolic link on the way looked at, too: who may write one of them could put
// another file in its place. In a sticky directory of root's, such as /tmp, nobody may. That a mount is read-only
// proves nothing: its files may be written through another one, or be made up by a user's own file system.
Result<std::string> read_trusted_path(const std::string& path, std::size_t max);

}  // namespace namewall::agent
