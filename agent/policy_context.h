// What the policies of this host may refer to beyond themselves, read from the host: groups, services, Spin manifests.
#pragma once

#include <string>
#include <vector>

#include "policy/load_context.h"

namespace namewall::agent {

inline constexpr const char* kServiceList = "/etc/services";
inline constexpr const char* kGroupFolder = "/usr/share/namewall/groups";

// The services of this host; empty where there is no such file.
std::vector<Service> read_services(const std::string& path = kServiceList);

class PolicyContext {
 public:
  // `host`: whose own groups come before the shipped ones.
  static PolicyContext read(const HostPolicy& host);
  // Valid while this object lives.
  LoadContext get() const { return {groups_, services_, {}}; }

 private:
  std::vector<Group> groups_;
  std::vector<Service> services_;
};

}  // namespace namewall::agent
