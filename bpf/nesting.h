// Which layers the armed cgroups above and below a cgroup are in. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

namespace namewall::bpf {

class Nesting {
 public:
  // `ancestors`: ids of the cgroups above, the nearest first.
  void add(std::uint64_t cgroup_id, const std::vector<std::uint64_t>& ancestors, std::uint32_t layer);
  void remove(std::uint64_t cgroup_id);
  // As they were given; nullptr: it is no member.
  const std::vector<std::uint64_t>* ancestors_of(std::uint64_t cgroup_id) const;
  // The smallest layer that nothing above or below uses.
  std::uint32_t free_layer(std::uint64_t cgroup_id, const std::vector<std::uint64_t>& ancestors) const;

 private:
  struct Member {
    std::uint32_t layer;
    std::vector<std::uint64_t> ancestors;
  };
  std::unordered_map<std::uint64_t, Member> members_;
  std::unordered_map<std::uint64_t, std::map<std::uint32_t, std::uint32_t>> below_;  // cgroup -> layer -> members below
};

}  // namespace namewall::bpf
