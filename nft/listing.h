// What the kernel holds of the table: read, never changed. Needs no ownership of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nft/element.h"
#include "nft/transaction.h"

namespace namewall::nft {

struct TableListing {
  bool is_owned = false, is_persistent = false, is_dormant = false;
  std::uint32_t owner = 0;  // netlink port id; 0: nobody's now
};
Result<std::optional<TableListing>> read_table(NftSocket& socket, std::string_view table = kTableName);

// All elements of a set, also those that nobody knows of: a dump. `each` may be called for one element more than once,
// or miss one that came or went meanwhile; never a made-up one. Commits do not make it begin anew: it ends after one
// pass (facts/kernel_nft.md section 3: restarting at each generation never ends). kNotFound: no such set.
//
// The kernel counts through the hash from its beginning for each 32 KB (nft_rhash_walk, net/netfilter/nft_set_hash.c):
// 1 ms for 1,000 elements, 15 ms for 10,000, seconds for 100,000. Whoever knows what there should be asks for it:
// read_elements.
Result<void> list_elements(NftSocket& socket, SetId set, const std::function<void(const Element&)>& each,
                           std::string_view table = kTableName);

// Those of these elements that are there, in their order: by key (and key_end), 2 to 3 us each at any size of the set,
// also while others change it. All of one set. Those that are absent or expired are left out. kNotFound: no such set.
Result<void> read_elements(NftSocket& socket, std::span<const Element> elements,
                           const std::function<void(const Element&)>& each, std::string_view table = kTableName);

// The same for those who know the rest, one for each element: by up to four threads, each with a socket of its own in
// this thread's network namespace.
struct ElementState {
  bool is_present = false;
  std::optional<Nanoseconds> timeout{}, expires{};
};
Result<std::vector<ElementState>> read_states(std::span<const Element> elements, std::string_view table = kTableName);

// How many elements a set has, those that expired and are not collected yet (SetShape::gc_interval_ms) among them: what
// is more than was found by read_elements is foreign. nullopt: this kernel does not tell (6.16). kNotFound: no such
// set.
Result<std::optional<std::uint32_t>> count_elements(NftSocket& socket, SetId set, std::string_view table = kTableName);

// One rule as the kernel lists it: its chain and the bytes of its expressions (NFTA_RULE_EXPRESSIONS), to be compared
// with those that were sent and read back before.
struct ListedRule {
  std::string chain{};
  std::uint64_t handle = 0;
  Bytes expressions{};
  friend bool operator==(const ListedRule&, const ListedRule&) = default;
};
Result<std::vector<ListedRule>> list_rules(NftSocket& socket, std::string_view table = kTableName);
Result<std::vector<std::string>> list_set_names(NftSocket& socket, std::string_view table = kTableName);
Result<std::vector<std::string>> list_chain_names(NftSocket& socket, std::string_view table = kTableName);

}  // namespace namewall::nft
