// What a workload's policy and grants are as elements of the table. Pure; compared with judge() by a randomised test.
//
// Static: the addresses of a policy are cut into disjoint ranges, each with the ports that judge() allows there
// (denies, the host's among them, subtracted): one lookup decides. Learned: an address has the ports that any of its
// live names gives it, without those that a deny rule by address takes; its deadline for a port is the latest of those
// names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "nft/element.h"
#include "policy/grant_table.h"
#include "policy/policy_image.h"

namespace namewall::nft {

// What an image is in the table, computed once for all its workloads (cgroup id 0 in the keys: with_cgroup()).
struct ImageElements {
  std::vector<Element> fixed;  // every static set but enforced and tokens
  std::vector<PortMask> wide;  // by wide set: the classes of the image whose ports it has; at most kWideSets
};
// kLimit: more than kWideSets different wide port sets, or more than kMaxFixed elements; the sentence names the rules.
inline constexpr std::size_t kMaxFixed = 4096;
Result<ImageElements> build_image_elements(const PolicyImage& image);
Element with_cgroup(Element element, std::uint64_t cgroup_id);

// The elements that the grants of one address are, with what is left of their deadlines at `now`; none where no grant
// is live. `rule`: texts for comments, by name.
std::vector<Element> build_grant_elements(std::uint64_t cgroup_id, const PolicyImage& image,
                                          const ImageElements& elements, const Address& address,
                                          const std::vector<Grant>& grants, BootTime now);

// From one state of the learned elements of an address to another.
struct ElementChanges {
  std::vector<Element> add, renew, remove;
};
// Renewing is skipped while more than half of the time is left and the deadline moves by less than that.
ElementChanges changes_between(const std::vector<Element>& before, const std::vector<Element>& after);

}  // namespace namewall::nft
