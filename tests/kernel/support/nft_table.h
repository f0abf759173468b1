// A table of the nft backend in the calling thread's network namespace, its elements put in by hand. Gone with the
// namespace.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nft/element.h"
#include "nft/ruleset.h"
#include "nft/transaction.h"
#include "policy/address.h"
#include "tests/kernel/support/throwaway_cgroup.h"

namespace namewall::kernel_tests {

struct CgroupPlace {
  std::uint64_t id = 0;
  std::uint32_t depth = 0;
};
CgroupPlace place_of(const ThrowawayCgroup& cgroup);

// "tcp 192.0.2.1:443", "udp [2001:db8::1]:53", "icmp 192.0.2.1"
nft::EndpointKey endpoint(std::uint64_t cgroup_id, const std::string& text);

class NftTable {
 public:
  NftTable();  // nothing is in the kernel yet

  void make(const nft::RulesetPlan& plan);
  void change_plan(const nft::RulesetPlan& plan);
  void add(const std::vector<nft::Element>& elements);
  void remove(const std::vector<nft::Element>& elements);
  std::vector<nft::Element> list(nft::SetId set);
  std::size_t count(nft::SetId set) { return list(set).size(); }
  nft::NftSocket& socket() { return *socket_; }
  const nft::RulesetPlan& plan() const { return plan_; }

 private:
  void commit(nft::Batch& batch);
  std::optional<nft::NftSocket> socket_;
  nft::RulesetPlan plan_;
};

// Elements by what they say.
nft::Element cgroup_in(nft::SetId set, std::uint64_t cgroup_id);  // enforced, audited, parents, loopback_*
nft::Element token_of(std::uint64_t cgroup_id, std::uint16_t token);
nft::Element learned(std::uint64_t cgroup_id, const std::string& text,
                     std::chrono::milliseconds timeout = std::chrono::hours(1));
nft::Element fixed(std::uint64_t cgroup_id, const std::string& first, const std::string& last);
inline nft::Element fixed(std::uint64_t cgroup_id, const std::string& text) { return fixed(cgroup_id, text, text); }
nft::Element listens(std::uint64_t cgroup_id, std::uint8_t ip_protocol, std::uint16_t first, std::uint16_t last);
nft::Element resolver_of(std::uint64_t cgroup_id, const std::string& text);
nft::Element proxy_place(const std::string& resolver, std::uint16_t port);
nft::Element own_pair(std::uint16_t token, std::uint64_t cgroup_id);

}  // namespace namewall::kernel_tests
