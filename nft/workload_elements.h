// What a workload's policy and grants are as elements of the table. Pure; compared with judge() by a randomised test.
//
// Static: the addresses of a policy are cut into disjoint ranges, each with the ports that judge() allows there
// (denies, the host's among them, and trusted resolvers subtracted): one lookup decides. Loopback with `any` or `own` is
// the sets of these names, and what is denied there stands in `closed`.
//
// Learned: an address has the ports that any of its live names gives it, without those that a deny rule by address
// takes; the deadline of a port is the latest of those names. Classes of ports (port_classes.h) with more than
// kMaxListedPorts of a protocol are wide sets, those that no rule tells apart together; the others are listed one by
// one, ICMP always.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nft/element.h"
#include "policy/grant_table.h"
#include "policy/policy_image.h"

namespace namewall::nft {

// What an image is in the table, computed once for all its workloads (cgroup id 0 in the keys: with_cgroup()).
struct ImageElements {
  std::vector<Element> fixed;  // of every set that the image alone decides: all but enforced, parents, tokens and
                               // own_pairs, and what the kernel makes
  std::vector<PortMask> wide;  // by wide set: its classes; at most kWideSets
};
// kLimit: more than kWideSets wide port sets, or more than kMaxFixed elements.
inline constexpr std::size_t kMaxFixed = 4096;
Result<ImageElements> build_image_elements(const PolicyImage& image);
Element with_cgroup(Element element, std::uint64_t cgroup_id);

// One learned element of an address, without its cgroup and address: as small as the model needs it for a million.
struct GrantPart {
  SetId set = SetId::kLearned4;
  std::uint8_t ip_protocol = 0;
  std::uint16_t port = 0;  // 0 of wide sets
  BootTime deadline{};     // kNever: no timeout
  std::uint64_t comment_hash = 0;
  friend bool operator==(const GrantPart&, const GrantPart&) = default;
};
struct CommentedPart {
  GrantPart part;
  std::string comment;
};

// What the grants of one address are at `now`, sorted by set, protocol and port; empty where no grant is live.
std::vector<CommentedPart> build_grant_parts(const PolicyImage& image, const ImageElements& elements,
                                             const Address& address, const std::vector<Grant>& grants, BootTime now);
// `deadline` in the past becomes the shortest timeout that there is.
Element to_element(std::uint64_t cgroup_id, const Address& address, const CommentedPart& part, BootTime now);
Element to_element(std::uint64_t cgroup_id, const Address& address, const GrantPart& part, BootTime now);
// As a rule would be written: "*.npmjs.org:443", "db.test tcp/5432 udp/53". "": nothing lets the name teach.
std::string describe_rule(const PolicyImage& image, const DomainName& name);

// What the kernel holds of an address: `set_at` is when it was told last.
struct HeldPart {
  GrantPart part;
  BootTime set_at;
};

void sort_parts(std::vector<HeldPart>& parts);  // as build_grant_parts() does

// From what the kernel holds of an address to what it should. `renew`: the same comment, another deadline. `replace`:
// another comment too, or from a timeout to none or back.
struct PartChanges {
  std::vector<CommentedPart> add, renew, replace;
  std::vector<GrantPart> remove;  // what is over by itself is not among them
  std::vector<HeldPart> after;    // what is held then
  // Later deadlines that can wait, for more than half of the time is left: until when. kNever: none.
  BootTime due = kNever;
  bool empty() const { return add.empty() && renew.empty() && replace.empty() && remove.empty(); }
};
PartChanges changes_between(const std::vector<HeldPart>& held, std::vector<CommentedPart> wanted, BootTime now);

}  // namespace namewall::nft
