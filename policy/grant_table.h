// The addresses a workload has learned: the model of the kernel's grants, exact where the kernel is approximate.
//
// An entry is one address of one name. The bound counts live entries: an address counts once for each of its names (the
// kernel counts bucket slots: it may refuse earlier, never later than 1.5 times the bound). Entries that are not live,
// expired grants and notes, are remembered as long as live and remembered ones together stay within the bound; the one
// whose deadline lies furthest back gives way first.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
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
  BootTime deadline;             // live while deadline > now
  PortMask ports = 0;            // of the name's decision, for this kind of address; never kAskBit
  Reason note = NW_REASON_NONE;  // why an answer's address was remembered without being granted: never live
  bool is_live(BootTime now) const { return note == NW_REASON_NONE && deadline > now; }
  friend bool operator==(const Grant&, const Grant&) = default;
};

// retain = until-next-answer: what the next answer to a question ends.
struct Replacement {
  DomainName name;          // the question's
  std::uint8_t family = 4;  // or 6
};

enum class LearnOutcome { kLearned, kTaughtNothing, kGrantsFull };

class GrantTable {
 public:
  explicit GrantTable(std::uint32_t max_addresses) : max_addresses_(max_addresses) {}

  // All grants of one answer, or none and kGrantsFull where the live ones would exceed the bound. An address that its
  // name has already keeps the later deadline (but kNever) and gets the new ports; a note takes no live grant's place.
  // kTaughtNothing: no live grant among them; notes may have been remembered.
  // `replaced`: live grants of that name and family whose address `grants` do not have end now, and leave their room.
  LearnOutcome learn(const std::vector<Grant>& grants, BootTime now,
                     const std::optional<Replacement>& replaced = std::nullopt);
  // Every entry of the address: the live ones first, each part in the order of names.
  std::vector<Grant> find(const Address& address, BootTime now) const;
  // After a policy replacement: each grant's ports are decided again by its name (0 where it is allowed no more).
  // Deadlines and notes stay.
  void rejudge(const PolicyImage& image);
  std::size_t live_count(BootTime now) const;
  std::vector<Grant> all() const;  // by address, then name
  // When a live one was granted, and when its deadline last moved (then: `learned`).
  struct Timed {
    Grant grant;
    BootTime learned, renewed;
  };
  std::vector<Timed> all_timed() const;

 private:
  using Key = std::pair<Address, DomainName>;
  using ByDeadline = std::set<std::pair<BootTime, Key>>;
  void age(BootTime now);
  void list(const Key& key, const Grant& grant, BootTime now);
  void unlist(const Key& key, const Grant& grant);
  void forget_beyond_bound();

  std::uint32_t max_addresses_;
  std::map<Key, Timed> grants_;
  // Each entry is in one of them: what was live, and what was not, when age() was last called. An answer costs the same
  // however many there are.
  ByDeadline live_, remembered_;
  BootTime aged_to_{};
};

}  // namespace namewall
