// How many references the kernel's BPF programs have, in one question whatever the number of cgroups: a program that
// was detached somewhere has one fewer. Who else holds a reference (a pin, a descriptor, a cgroup that is about to go)
// counts too, so a number tells something only beside an earlier one.
#pragma once

#include <cstdint>
#include <memory>
#include <set>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::bpf {

class ProgramCensus {
 public:
  // kUnsupported: a kernel without iterators over programs (before Linux 5.9) or without BTF; kPermission.
  static Result<ProgramCensus> open();

  // The references of these programs together.
  Result<std::int64_t> count(const std::set<std::uint32_t>& program_ids) const;

 private:
  explicit ProgramCensus(FileDescriptor iterator) : iterator_(std::move(iterator)) {}
  FileDescriptor iterator_;
};

}  // namespace namewall::bpf
