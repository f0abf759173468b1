// Conflicts between a policy, the host's, those of its parents and itself, found before anything is enforced. Three
// sources, all of which have to permit: host, parents, the policy itself.
//
// Errors: what can never be. Warnings: what is less, or more, than it looks like. An exception that a policy itself
// writes, a deny narrower than its allow, is none. Of the rules that a group or a manifest brought only what the host
// and the parents take from them is told, in one sentence for each list of them.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "policy/diagnostic.h"
#include "policy/policy.h"

namespace namewall {

struct OverlapInput {
  const Policy& policy;
  const HostPolicy& host;
  std::vector<const Policy*> parents;      // find_parents()
  std::vector<ResolverAddress> resolvers;  // that the policy trusts: block_networks and limits spare them
  // Whether anybody can have a name below one ("co.uk"); empty: not known.
  std::function<bool(std::string_view)> is_public_suffix;
};

// In the order of the policy's rules. Rule for rule with the help of an index: 10,000 rules beside 1,000 of the host's
// take some tens of milliseconds.
std::vector<Diagnostic> check_overlap(const OverlapInput& input);

// For each policy those of the others whose cgroups hold all of its own.
std::vector<std::vector<const Policy*>> find_parents(const std::vector<const Policy*>& policies);

}  // namespace namewall
