// The learned side of one workload: its grant buckets and its name table, kernel maps of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "bpf/abi.h"
#include "policy/file_descriptor.h"
#include "policy/grant_table.h"
#include "policy/result.h"

namespace namewall::bpf {

// A slot for each address of the bound would overflow single buckets long before the table is full (the first failed
// insert comes at 80 % load), so there are 1.5.
std::uint32_t bucket_count_for(std::uint32_t max_addresses);

struct LearnedGrant {
  nw_grant slot;
  nw_name name;  // all zeros when the name table no longer has it
};

class WorkloadTables {
 public:
  static Result<WorkloadTables> create(std::uint32_t max_addresses);
  // Tables that were made earlier, as their maps say.
  static Result<WorkloadTables> adopt(FileDescriptor grants, FileDescriptor names);

  int grants_fd() const { return grants_.get(); }
  int names_fd() const { return names_.get(); }
  std::uint32_t bucket_count() const { return bucket_count_; }
  std::uint32_t max_addresses() const { return bucket_count_ * NW_SLOTS_PER_BUCKET * 2 / 3; }  // of this bucket count

  // Every slot that was ever used, expired ones and notes among them.
  Result<std::vector<LearnedGrant>> read() const;
  // Grants (not notes) whose deadline, in CLOCK_BOOTTIME nanoseconds, is after `now`.
  Result<std::uint32_t> count_live(std::uint64_t now) const;
  // Places grants as the kernel does. Not atomic against a learning kernel: for workloads that are not in use yet.
  Result<std::size_t> add(const std::vector<Grant>& grants, const nw_workload& workload) const;

 private:
  FileDescriptor grants_, names_;
  std::uint32_t bucket_count_ = 0;
};

}  // namespace namewall::bpf
