// What `namewalld` is started with.
#pragma once

#include <string>

namespace namewall::agent {

struct DaemonOptions {
  std::string config_directory = "/etc/namewall";
  std::string state_directory = "/var/lib/namewall";
  std::string run_directory = "/run/namewall";
  std::string log_directory = "/var/log/namewall";
  std::string pin_directory = "/sys/fs/bpf/namewall";
  std::string group_directory = "/usr/share/namewall/groups";
  std::string user = "_namewall";  // a name, or UID:GID
};

}  // namespace namewall::agent
