// The keys of a policy that say where it holds: `cgroup`, `unarmed_children`, `guard_shared`.
#pragma once

#include <string_view>
#include <vector>

#include "policy/cgroup_pattern.h"
#include "policy/config_reader.h"
#include "policy/policy.h"

namespace namewall {

inline constexpr std::size_t kMaxCgroups = 256;  // entries of `cgroup`

class CgroupReader {
 public:
  CgroupReader(ConfigReader& config, Policy& policy) : config_(config), policy_(policy) {}

  void read_cgroup(const ConfigNode& node);
  void read_unarmed_children(const ConfigNode& node);
  void read_guard_shared(const ConfigNode& node);
  // What the keys say together; once all of them are read. A guard on a shared cgroup (workload_plan.h) takes the
  // sockets of other people's programs: it is an error unless `guard_shared` names that cgroup.
  void check();

 private:
  struct Placed {
    CgroupPattern pattern;
    Position position;
  };
  void add_cgroup(const ConfigNode& node);
  bool has_glob_below(std::string_view fixed_part) const;
  bool may_guard(std::string_view fixed_part) const;

  ConfigReader& config_;
  Policy& policy_;
  std::vector<Placed> patterns_;
  std::vector<Placed> shared_;
  Position unarmed_children_, guard_shared_;
};

}  // namespace namewall
