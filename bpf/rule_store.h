// The rule maps: what each policy id has in them, and when it may go.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "bpf/abi.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::bpf {

// The keys that one policy has in the rule maps.
struct InstalledRules {
  std::uint32_t policy_id = 0;
  std::vector<nw_name_key> names;
  std::vector<nw_glob_key> globs;
  std::vector<nw_address_key> addresses;
};

class RuleStore {
 public:
  RuleStore(int name_rules_fd, int glob_rules_fd, int address_rules_fd)
      : name_rules_fd_(name_rules_fd), glob_rules_fd_(glob_rules_fd), address_rules_fd_(address_rules_fd) {}

  // Loads everything under a policy id of its own, or nothing.
  Result<InstalledRules> install(const PolicyImage& image);
  // At once: for rules that no program has been told of.
  Result<void> remove(const InstalledRules& rules);

  // Rules that no workload names any more. A program that read the old policy id may still look them up, so they go a
  // while later, when remove_retired is called.
  void retire(InstalledRules rules);
  Result<void> remove_retired();
  bool has_many_retired() const;
  // The caller has waited until every program that ran before has ended: all retired rules may go.
  void no_program_reads_retired();

 private:
  struct Retired {
    InstalledRules rules;
    std::chrono::steady_clock::time_point since;
  };
  int name_rules_fd_, glob_rules_fd_, address_rules_fd_;
  std::uint32_t next_policy_id_ = 1;
  std::vector<Retired> retired_;
};

}  // namespace namewall::bpf
