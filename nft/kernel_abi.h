// Numbers of linux/netfilter/nf_tables.h that Debian 12's headers (6.1) do not have yet.
#pragma once

#include <linux/netfilter/nfnetlink.h>

#include <cstdint>

namespace namewall::nft {

inline constexpr std::uint32_t kTableDormant = 0x1;
inline constexpr std::uint32_t kTableOwner = 0x2;             // 5.12
inline constexpr std::uint32_t kTablePersist = 0x4;           // 6.9
inline constexpr std::uint16_t kMessageDestroyElements = 30;  // 6.3
inline constexpr std::uint16_t kSetCount = 20;                // NFTA_SET_COUNT, 6.16: NLA_U32

constexpr std::uint16_t message_type(std::uint16_t message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

}  // namespace namewall::nft
