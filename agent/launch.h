// Starts the command inside its cgroup: it never runs a single instruction outside (cgroup_child.h), and everything
// that narrows it is in force before its first.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/credentials.h"
#include "agent/keep_options.h"
#include "agent/signal_relay.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {

struct LaunchPlan {
  int cgroup_fd = -1;
  std::vector<std::string> arguments;    // the command and its arguments: at least one
  std::vector<std::string> environment;  // NAME=VALUE; PATH in it finds the command
  Credentials credentials;
  KeepSet keep;
};

struct LaunchedCommand {
  pid_t pid = 0;
  FileDescriptor pidfd;
  std::vector<int> closed_descriptors;  // inherited ones that the command did not get
};

// What stopped it before the command's first instruction. 125 namewall's own part, 126 cannot be executed, 127 not
// found, as env(1).
struct LaunchFailure {
  int exit_code = 0;
  std::string message;
};

// On failure no process of it is left. In the child, in this order: cgroup, descriptors, mount namespace, system call
// filter, ids and capabilities, no_new_privs, signals, exec.
tl::expected<LaunchedCommand, LaunchFailure> launch(const LaunchPlan& plan, const SignalRelay& signals);

}  // namespace namewall::agent
