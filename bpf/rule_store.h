// The rule maps of one layer: which policy ids have rules in them, who refers to them, and when they may go.
//
// Workloads with equal policies share one id. A workload's id only grows, so that a mask word of one id never means
// another policy.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "bpf/boot_ids.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::bpf {

using SharedImage = std::shared_ptr<const PolicyImage>;

class RuleStore {
 public:
  struct Maps {
    int names, globs, addresses;
  };
  static Result<RuleStore> open(Maps maps, BootIds* ids);

  struct Policy {
    std::uint32_t id = 0;
    std::uint64_t hash = 0;
  };
  // A reference to the rules of the image under an id above `former_id`; they are loaded where no such id has them.
  // All or nothing.
  Result<Policy> acquire(const SharedImage& image, std::uint32_t former_id);
  // A reference to rules that an earlier process loaded.
  void adopt(std::uint32_t policy_id);
  // The image of adopted rules.
  void recognise(std::uint32_t policy_id, const SharedImage& image);
  // Gives a reference back. Without any, the rules go a while later: a program that read the id may still look them up.
  void release(std::uint32_t policy_id);

  // So much waits to go that the caller had better wait until every program that ran has ended.
  bool has_many_retired() const;
  void no_program_reads_retired();

  // Removing in two steps, so that only the first needs the caller's lock.
  struct Removal {
    std::vector<std::pair<std::uint32_t, SharedImage>> known;
    std::set<std::uint32_t> unknown;               // found by scanning the maps
    std::optional<std::set<std::uint32_t>> sweep;  // everything below `sweep_below` that is not in here: an earlier
    std::uint32_t sweep_below = 0;                 // process died before it published the id
    bool is_empty() const { return known.empty() && unknown.empty() && !sweep; }
  };
  Removal plan_removal();
  Result<void> carry_out(const Removal& removal) const;
  void put_back(Removal removal);  // that failed
  Result<void> remove_retired();
  // After all adopt() calls: the next removal sweeps.
  void sweep_unadopted();

  std::size_t policy_count() const { return policies_.size(); }

 private:
  struct Installed {
    SharedImage image;  // nullptr: adopted and not recognised
    std::uint64_t hash = 0;
    std::uint32_t references = 0;
  };
  struct Retired {
    std::uint32_t policy_id;
    SharedImage image;
    std::chrono::steady_clock::time_point since;
  };
  RuleStore(Maps maps, BootIds* ids, std::size_t many) : maps_(maps), ids_(ids), many_entries_(many) {}
  Result<void> install(const PolicyImage& image, std::uint32_t policy_id) const;
  Result<void> remove(const PolicyImage& image, std::uint32_t policy_id) const;

  Maps maps_;
  BootIds* ids_;
  std::size_t many_entries_;
  std::map<std::uint32_t, Installed> policies_;          // by id
  std::multimap<std::uint64_t, std::uint32_t> by_hash_;  // of the known ones
  std::vector<Retired> retired_;
  std::size_t retired_entries_ = 0;
  std::optional<std::set<std::uint32_t>> sweep_;
  std::uint32_t sweep_below_ = 0;
};

}  // namespace namewall::bpf
