// What the policies of this host may refer to beyond themselves, read from the host: groups, services, Spin manifests.
#pragma once

#include <string>
#include <vector>

#include "policy/load_context.h"

namespace namewall::agent {

class PolicyContext {
 public:
  // For a command. `host`: whose own groups come before the shipped ones.
  static PolicyContext read(const HostPolicy& host);
  // For the daemon, which puts the groups of the host.toml that is in force before these.
  static PolicyContext read_shipped(const std::string& group_folder);
  // Valid while this object lives.
  LoadContext get() const { return {groups_, services_, {}}; }
  const std::vector<std::string>& errors() const { return errors_; }  // of the group folder

 private:
  std::vector<Group> groups_;
  std::vector<Service> services_;
  std::vector<std::string> errors_;
};

}  // namespace namewall::agent
