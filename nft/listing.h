// What the kernel holds of the table: read, never changed. Needs no ownership of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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

// `each` may be called for one element more than once, or miss one that came or went meanwhile; never a made-up one.
// Commits at any rate do not make it begin anew: it ends after one pass (facts/kernel_nft.md section 3: restarting at
// each generation never ends). kNotFound: no such set.
Result<void> list_elements(NftSocket& socket, SetId set, const std::function<void(const Element&)>& each,
                           std::string_view table = kTableName);

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
