// The addresses a workload has learned: the model of the kernel's grants, exact where the kernel is approximate
// (bounds are counted in addresses here, in bucket slots there: the kernel may refuse earlier, never later than 1.5
// times the bound).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/boot_time.h"
#include "policy/domain_name.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall {

struct Grant {
  DomainName name;
  Address address;
  BootTime deadline;            // live while deadline > now
  PortMask ports = 0;           // of the name's decision, for this kind of address
  Reason note = NW_REASON_NONE; // why an answer's address was remembered without being granted
};

enum class LearnOutcome { kLearned, kTaughtNothing, kGrantsFull };

class GrantTable {
 public:
  explicit GrantTable(std::uint32_t max_addresses) : max_addresses_(max_addresses) {}

  // All grants of one answer or none. `deadline` per address. Expired grants give way when the table is full.
  LearnOutcome learn(const std::vector<Grant>& grants, BootTime now);
  // Every grant of the address, live and expired, the live ones first.
  std::vector<Grant> find(const Address& address, BootTime now) const;
  // After a policy replacement: each grant's ports are decided again by its name.
  void rejudge(const PolicyImage& image);
  std::size_t live_count(BootTime now) const;
  std::vector<Grant> all() const;

 private:
  std::uint32_t max_addresses_;
  std::map<std::pair<Address, DomainName>, Grant> grants_;
};

}  // namespace namewall
