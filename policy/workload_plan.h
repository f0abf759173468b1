// Which cgroups should be armed with which policy, as a value. Pure: the folder's policies and the existing cgroups in,
// wishes out. What one path should be depends on the policies and that path alone.
//
// Exact paths beat globs. Patterns of two policies that can meet (two globs, or the same path) are an error that names
// both files. A cgroup and one above it may both be workloads: both hold.
//
// A glob is a template if its only "*" is its whole last component: its fixed part's children are held from their first
// instruction. Not, however, if that fixed part is a workload itself, by a policy of its own or as a child of another
// template: one cgroup is not armed twice. Then the children are armed by watching (kOwnPrograms); until they are, the
// policy above holds them.
//
// Names. A policy with one `cgroup` entry: an exact path is "builder"; what a glob matches is "builder:REST", REST the
// path below the glob's fixed part ("builder:user-7.slice/job"), and its template or guard is "builder". With several
// entries: "builder:PATH" with the whole path ("builder:/ci.slice/job"), and a template or guard is "builder::GLOB".
// Unique (a policy's name holds no ":"), and the same for as long as the policy keeps its name and its `cgroup`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/cgroup_pattern.h"
#include "policy/policy.h"

namespace namewall {

// One policy of the folder, ready to be used.
struct PlannedPolicy {
  std::string name;
  std::string file;
  std::string sha256;  // of the canonical form together with host.toml's
  std::vector<CgroupPattern> cgroups;
  UnarmedChildren unarmed_children = UnarmedChildren::kWatch;
  // nftables holds a template's children only once each is armed: each is wanted by itself (kTemplateRow). Until then
  // the template refuses it everything.
  bool arms_children = false;
};

struct PlanError {
  std::string file, other_file;  // whose patterns meet, or whose names are the same; in the order of `policies`
  std::string sentence;          // names both files
};
// At most one error for two policies.
std::vector<PlanError> check_policies(const std::vector<PlannedPolicy>& policies);

struct ExistingCgroup {
  std::string path;
  std::uint64_t id = 0;
  friend auto operator<=>(const ExistingCgroup&, const ExistingCgroup&) = default;
};

enum class HeldBy {
  kOwnPrograms,  // programs on the cgroup itself
  kTemplate,     // programs on the cgroup, for each of its children (Children::kApart)
  kTemplateRow,  // a row of the parent's template: a child with an exact policy of its own, or any (arms_children)
  kGuard,        // no workload: new children get no sockets until they are armed
};

// What one cgroup should be.
struct WantedWorkload {
  std::string name;  // "builder", "builder:job-17"
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  std::string policy;
  HeldBy held_by = HeldBy::kOwnPrograms;
  friend bool operator==(const WantedWorkload&, const WantedWorkload&) = default;
};

// What one path should be, alone: for a cgroup that has just appeared. At most one of kOwnPrograms, kTemplate and
// kTemplateRow, first; then guards, one for each policy that asks for one. A template's child without an exact policy
// needs nothing: its template holds it.
std::vector<WantedWorkload> plan_cgroup(const std::vector<PlannedPolicy>& policies, const ExistingCgroup& cgroup);

// The same of every cgroup, sorted by path, parents first. `policies` are free of errors (check_policies).
std::vector<WantedWorkload> plan_workloads(const std::vector<PlannedPolicy>& policies,
                                           const std::vector<ExistingCgroup>& cgroups);

// How the cgroups that `pattern`, one of `policy`'s, matches are held (kOwnPrograms: by watching, or an exact path);
// kTemplate for a glob that is one here.
HeldBy how_held(const std::vector<PlannedPolicy>& policies, const PlannedPolicy& policy, const CgroupPattern& pattern);

// Cgroups whose new processes a guard of `policy` would leave without sockets, if they were new: those strictly below a
// guard's fixed part of which neither they nor one between is armed. Sorted.
std::vector<std::string> find_foreign_children(const PlannedPolicy& policy, const std::vector<PlannedPolicy>& policies,
                                               const std::vector<ExistingCgroup>& cgroups);

// Cgroups whose children belong to many programs: "/", "/system.slice", "/user.slice", "/init.scope", "/machine.slice"
// and the kubepods slices ("/kubepods", "/kubepods.slice", "/kubepods-*.slice"), the last two kinds with all that is
// below. A guard there has to be written out (`guard_shared`).
bool is_shared_cgroup(std::string_view path);

}  // namespace namewall
