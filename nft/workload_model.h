// One workload as the enforcer knows it: its policy, its grants, and what of them the kernel was told. No system call:
// what should change comes out as values.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "nft/workload_elements.h"
#include "policy/backend.h"
#include "policy/proxy_place.h"

namespace namewall::nft {

// One transaction's worth, in the order in which it is sent.
struct ElementChanges {
  std::vector<Element> remove;   // which are there
  std::vector<Element> destroy;  // which may be there
  std::vector<Element> add, renew, replace;
  bool empty() const { return remove.empty() && destroy.empty() && add.empty() && renew.empty() && replace.empty(); }
  ElementChanges& operator+=(ElementChanges&& other);
};

struct AddressHash {
  std::size_t operator()(const Address& address) const {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), address.bytes().data(), sizeof(words));
    return (words[0] * 0x9e3779b97f4a7c15ull) ^ (words[1] * 0xc2b2ae3d27d4eb4full) ^ words[1] >> 32;
  }
};

struct HeldAddress {
  std::vector<HeldPart> parts;
  bool is_due = false;  // waits for a renewal
};

struct WorkloadModel {
  explicit WorkloadModel(std::uint32_t addresses)
      : max_addresses(addresses), grants(addresses), by_reason(NW_REASON_COUNT) {}

  // ---- what it is ----
  std::uint64_t cgroup_id = 0;
  std::string cgroup;  // path
  std::uint32_t depth = 0;
  std::uint32_t workload_id = 0;
  std::uint32_t generation = 0;
  std::uint64_t image_hash = 0;
  std::shared_ptr<const PolicyImage> image;       // nullptr: adopted, and not recognised yet
  std::shared_ptr<const ImageElements> elements;  // of the image
  std::vector<Element> adopted;                   // by which it is held while its image is not known
  std::uint64_t template_id = 0;                  // of a template's child
  bool is_template = false;
  bool has_own_policy = true;  // of a child: not its template's
  bool is_strict = false;
  bool is_denied = false;  // everything is refused
  AskerToken token = 0;    // a template has none

  std::vector<Element> installed;  // fixed elements that the kernel holds

  // ---- what it learned ----
  std::uint32_t max_addresses;
  GrantTable grants;
  std::unordered_map<Address, HeldAddress, AddressHash> held;

  // ---- what was counted ----
  std::vector<std::uint64_t> by_reason;
  std::uint64_t learned = 0, refreshed = 0, events = 0, by_audit = 0;
  std::uint64_t refused = 0;  // packets, by the kernel's counter as of the last look
  std::uint64_t told_left_out = 0;

  // The elements that do not depend on grants: `enforced` (or `parents`) last.
  std::vector<Element> fixed_elements() const;
  // As the kernel should have them at `now`, after what was learned about this address.
  PartChanges changes_at(const Address& address, BootTime now) const;
  bool has_wide(const Address& address, std::uint8_t ip_protocol) const;  // a wide port set is open there
  // As it was sent with the part.
  std::string comment_of(const Address& address, const GrantPart& part, BootTime now) const;
  // What the kernel was told of addresses that were over by then. The number of addresses.
  std::size_t forget_held(BootTime then);
  // A bound that is higher than before. It never becomes lower: that would leave grants out.
  void widen_grants(std::uint32_t addresses);
  ArmedCgroup describe() const;
};

// The sockets that loopback packets of this sender may reach: those of the innermost of its levels with loopback =
// "own".
std::optional<Element> own_pair_element(const WorkloadModel& sender, const std::vector<WorkloadModel*>& above);

// Ports as lesson and image say; the addresses that it concerns, each once.
std::vector<Grant> grants_of(const Lesson& lesson, const WorkloadModel& workload);
std::vector<Address> addresses_of(const Lesson& lesson, const WorkloadModel& workload, BootTime now);

// Adds to `changes` what the parts are as elements.
void append(const WorkloadModel& workload, const Address& address, const PartChanges& parts, BootTime now,
            ElementChanges& changes);
// The elements that take one list to the other; both as they are sent.
ElementChanges between(const std::vector<Element>& before, const std::vector<Element>& after);

}  // namespace namewall::nft
