// What the policies of this host may refer to beyond themselves, read from the host: groups, services, Spin manifests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "policy/load_context.h"

namespace namewall::agent {

inline constexpr const char* kServiceList = "/etc/services";

// A Spin manifest with the rights of whoever asks. The daemon reads trusted ones alone (host/trusted_file.h).
Result<std::string> read_manifest_of_caller(const std::string& path);

// The services of this host; empty where there is no such file.
std::vector<Service> read_services(const std::string& path = kServiceList);

class PolicyContext {
 public:
  // For a command. `host`: whose own groups come before the shipped ones.
  static PolicyContext read(const HostPolicy& host);
  // For the daemon, which puts the groups of the host.toml that is in force before these. Of manifests it reads those that
  // only root may write.
  static PolicyContext read_shipped(const std::string& group_folder);
  // Valid while this object lives.
  LoadContext get() const { return {groups_, services_, read_manifest_}; }
  const std::vector<std::string>& errors() const { return errors_; }  // of the group folder

 private:
  std::vector<Group> groups_;
  std::vector<Service> services_;
  std::function<Result<std::string>(const std::string&)> read_manifest_;
  std::vector<std::string> errors_;
};

}  // namespace namewall::agent
