// The workloads of this host as the daemon knows them: pure data, found by name, by cgroup id and by path. What the
// kernel holds is the enforcer's; what it should hold is the reconciler's; this is what was said about each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/host/held_policy.h"
#include "policy/boot_time.h"
#include "policy/workload_plan.h"

namespace namewall::agent {

enum class WorkloadOrigin {
  kFile,
  kCall,
  kRestrict,  // by a process itself: its uid is in the name
  kAdopted,
};
std::string_view word_of(WorkloadOrigin origin);  // "file", "api", "restrict", "adopted"

// Described by a call, not by a file: remembered over a restart.
inline bool is_by_call(WorkloadOrigin origin) {
  return origin == WorkloadOrigin::kCall || origin == WorkloadOrigin::kRestrict;
}

// The newest live proof.
struct ProofState {
  std::optional<BootTime> passed_at;  // of the newest that passed
  std::optional<BootTime> tried_at;
  std::string text;  // "passed", "failed: ...", "not run: ..."; "" before the first
  bool is_failure = false;
};

struct Workload {
  std::string name;
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  HeldBy held_by = HeldBy::kOwnPrograms;
  bool is_template_child = false;  // the kernel made it; its template's policy holds it
  WorkloadOrigin origin = WorkloadOrigin::kFile;
  HeldPolicyPtr policy;  // nullptr: nobody knows it (adopted)

  bool is_armed = false;
  std::string failure;  // why it is not armed, or not as it should be; "" if it is
  std::uint32_t workload_id = 0;
  std::uint32_t generation = 0;
  Backend backend = Backend::kBpf;
  bool is_judging = false;               // strict until its older sockets have been judged
  std::vector<std::string> partial;      // what lies outside what the kernel can hold, a sentence each
  std::vector<std::string> netns_holes;  // the same, of network namespaces (table_namespaces.h)
  std::string armed_at;                  // RFC 3339
  double unarmed_ms = -1;                // host_view.h

  std::string policy_reference;  // of a call that named a policy of the folder: follows it
  std::string policy_text;       // of a call with an inline policy, as given
  bool allow_partial = false;
  bool is_cooperative = false;  // of kRestrict: that it cannot leave rests on its own word
  std::map<std::string, std::string> labels;
  std::optional<BootTime> ends_at;
  bool is_over = false;  // its time is: everything is refused

  std::string last_refusal, last_refusal_at;
  ProofState proof;
};

// Whether a probe below its cgroup shows what holds it: a child of nftables' templates is refused everything until it
// is armed, and a probe's cgroup never is.
bool is_provable(const Workload& workload);
// Without being asked to: the proof of BPF's template is that of its children.
bool is_proved_in_turn(const Workload& workload);

class WorkloadRegistry {
 public:
  // Takes the place of what had the same cgroup id. False, and nothing changed, where another cgroup has the name.
  bool add(Workload workload);
  void erase(std::uint64_t cgroup_id);

  // Valid until the next add() or erase().
  Workload* find(std::string_view name);
  const Workload* find(std::string_view name) const;
  Workload* find_by_id(std::uint64_t cgroup_id);
  const Workload* find_by_id(std::uint64_t cgroup_id) const;
  const Workload* find_at(std::string_view path) const;
  // The innermost armed workload whose cgroup is `path` or above it.
  const Workload* find_holding(std::string_view path) const;

  std::size_t size() const { return by_id_.size(); }
  void each(const std::function<void(Workload&)>& visit);  // by name
  void each(const std::function<void(const Workload&)>& visit) const;

 private:
  std::unordered_map<std::uint64_t, std::unique_ptr<Workload>> by_id_;
  std::map<std::string, Workload*, std::less<>> by_name_;
  std::map<std::string, Workload*, std::less<>> by_path_;  // without those whose path nobody knows
};

}  // namespace namewall::agent
