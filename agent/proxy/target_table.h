// The resolvers that are asked, by number, for as long as somebody uses them.
#pragma once

#include <cstdint>

#include "agent/proxy/hash_index.h"
#include "agent/proxy/keyed_hash.h"
#include "agent/proxy/slab.h"
#include "agent/proxy/upstream.h"
#include "policy/boot_time.h"

namespace namewall::agent {

class TargetTable {
 public:
  explicit TargetTable(KeyedHash hash) : hash_(hash) {}

  // Its number, in use once more.
  std::uint32_t use(const UpstreamTarget& target, BootTime now);
  void use_again(std::uint32_t number) { ++entries_[number].uses; }
  void give_up(std::uint32_t number) { --entries_[number].uses; }
  const UpstreamTarget& operator[](std::uint32_t number) const { return entries_[number].target; }
  // Of this target in all the process's life: numbers are given anew, serials never.
  std::uint64_t serial(std::uint32_t number) const { return entries_[number].serial; }
  // Drops what nobody uses and nobody named for ten minutes: network namespaces come and go.
  void sweep(BootTime now);

 private:
  struct Entry {
    UpstreamTarget target;
    std::uint64_t serial = 0;  // 0: free
    std::uint64_t uses = 0;
    BootTime named;
  };
  std::uint64_t hash_of(const UpstreamTarget& target) const;

  KeyedHash hash_;
  HashIndex index_;
  Slab<Entry> entries_;
  std::uint64_t last_serial_ = 0;
};

}  // namespace namewall::agent
