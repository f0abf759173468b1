// The learned elements that the benchmarks fill a table with: numbered grants of one workload.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nft/element.h"

namespace namewall::bench {

enum class Change { kAdd, kRenew, kRemove };

// Address `number` of addresses.h for port 443, for an hour and a bit that grows with `round`: a renewal to the
// time that an element has already could be none.
nft::Element learned_element(std::uint64_t cgroup_id, std::uint32_t number, std::uint32_t round = 0,
                             Protocol protocol = Protocol::kTcp);
std::vector<nft::Element> learned_elements(std::uint64_t cgroup_id, std::uint32_t first, std::uint32_t count,
                                           std::uint32_t round = 0);

// The same as a command for nft(8). `cgroup`: its path below /sys/fs/cgroup.
std::string change_text(Change change, const std::string& cgroup, std::uint32_t first, std::uint32_t count,
                        std::uint32_t round);

}  // namespace namewall::bench
