// The product's table with its chains, filled as if many workloads had learned much: what a packet of one of them
// costs.
#pragma once

#include <cstdint>
#include <string>

#include "nft/transaction.h"
#include "policy/result.h"

namespace namewall::bench {

// Of a cgroup's directory.
struct CgroupPlace {
  std::uint64_t id = 0;
  std::uint32_t depth = 0;  // 1: a child of the root
};
Result<CgroupPlace> find_cgroup(const std::string& path);

// In this namespace: `cgroup` and workloads - 1 that do not exist, each with its share of the grants; `cgroup` has the
// first ones. The socket owns the table.
Result<void> make_whole_table(nft::NftSocket& socket, const CgroupPlace& cgroup, std::uint32_t workloads,
                              std::uint32_t grants);

}  // namespace namewall::bench
