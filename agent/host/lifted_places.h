// Where a teardown lifted what a policy file wants. It stays lifted, also over restarts of the daemon, until the file
// says something else or has left the folder.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "agent/host/folder_snapshot.h"

namespace namewall::agent {

struct LiftedPlace {
  std::string policy;
  std::string policy_sha256;  // of what the file said then: PolicyVersion::text_sha256
  friend bool operator==(const LiftedPlace&, const LiftedPlace&) = default;
};

class LiftedPlaces {
 public:
  LiftedPlaces() = default;
  explicit LiftedPlaces(std::map<std::string, LiftedPlace> by_cgroup) : by_cgroup_(std::move(by_cgroup)) {}

  void lift(const std::string& cgroup, const PolicyVersion& version);
  bool contains(const std::string& cgroup, const PolicyVersion& version) const;
  // The cgroup is gone. What a file names by its path stays lifted when it is made anew; what a glob matched is another
  // one then. Whether anything changed.
  bool note_gone(const std::string& cgroup, const FolderSnapshot& folder);
  // Ends what no longer applies.
  void follow(const FolderSnapshot& folder);

  const std::map<std::string, LiftedPlace>& by_cgroup() const { return by_cgroup_; }

 private:
  std::map<std::string, LiftedPlace> by_cgroup_;
};

}  // namespace namewall::agent
