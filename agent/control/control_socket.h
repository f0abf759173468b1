// The file of the control socket: there is always either a whole listening socket at its path or what was there before.
#pragma once

#include <string>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

// A listening, non-blocking socket at `path`, mode 0666 in a directory that is made (0755) if need be. What a dead
// daemon left is replaced. kConflict: somebody listens there, or it is no socket. kInvalid: the path is too long.
Result<FileDescriptor> open_control_socket(const std::string& path);

// Whether a connect to `path` reaches somebody who listens.
bool is_control_socket_served(const std::string& path);

// A listening unix stream socket that somebody else made. The descriptor is owned from now on, also on failure.
Result<FileDescriptor> adopt_control_socket(int fd);

}  // namespace namewall::agent
