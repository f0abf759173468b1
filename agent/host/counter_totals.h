// What the kernel counted, summed up per policy over the life of the daemon: the kernel's counters end with their
// workload, these do not. Pure: readings in, totals out.
//
// At most kMaxPolicies policies have totals of their own. When one more gets workloads, the one without workloads that
// was not used for longest gives its place up (its totals end); while all places are in use, newcomers share kOther. No
// total that stays ever becomes less.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bpf/enforcer.h"

namespace namewall::agent {

// What metrics tell of the counters of bpf/abi.h. Answers are counted beside their questions: a lookup whose answer is
// withheld is in `lookups_allowed` as well.
struct CounterSums {
  std::uint64_t lookups_allowed = 0;  // questions that passed
  std::uint64_t lookups_refused = 0;
  std::uint64_t answers_withheld = 0;
  std::uint64_t allowed_by_audit = 0;  // would have been refused
  std::uint64_t events = 0, events_left_out = 0, events_lost = 0;
  std::uint64_t helper_failures = 0;
  std::map<std::string, std::uint64_t> refusals;  // by reason code, those that are not 0
  std::map<std::string, std::uint64_t> bounds_reached{{"grants", 0}, {"names", 0}, {"pending_questions", 0}};
};

class CounterTotals {
 public:
  static constexpr std::size_t kMaxPolicies = 200;
  static constexpr const char* kOther = "other";

  // `counters`: everything this workload has counted so far. Counts what is new since its last reading, for `policy`;
  // a reading below the last one is that of counters that began anew.
  void record(std::uint32_t workload_id, const std::string& policy, const Counters& counters);
  // The same, of a workload that an earlier daemon has counted: only what comes later is new.
  void adopt(std::uint32_t workload_id, const std::string& policy, const Counters& counters);
  // After its last reading.
  void end(std::uint32_t workload_id);

  // The label of a policy: itself if it has a place or one is free, otherwise kOther.
  std::string label_of(const std::string& policy);
  const std::map<std::string, CounterSums>& by_label() const { return by_label_; }

 private:
  using Values = std::vector<std::uint64_t>;  // by reason, then by counter, in the order of abi.h
  struct LastReading {
    std::string label;
    Values values;
  };
  struct Place {
    std::size_t workloads = 0;
    std::uint64_t last_use = 0;
  };

  static Values values_of(const Counters& counters);
  static void add(CounterSums& sums, const Values& grown);
  LastReading& reading_of(std::uint32_t workload_id, const std::string& policy);
  void leave(const std::string& label);
  void make_room();

  std::map<std::uint32_t, LastReading> readings_;
  std::map<std::string, Place> places_;
  std::map<std::string, CounterSums> by_label_;
  std::uint64_t uses_ = 0;
};

}  // namespace namewall::agent
