// Numbers of DNS messages (RFC 1035 section 4.1), big-endian, and where the parts of a header stand. The caller has
// checked that the bytes are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace namewall {

inline constexpr std::size_t kDnsHeaderLength = 12;
inline constexpr std::uint16_t kFlagResponse = 0x8000, kOpcodeMask = 0x7800, kFlagTruncated = 0x0200;
inline constexpr std::uint16_t kFlagRecursionDesired = 0x0100, kFlagRecursionAvailable = 0x0080;
inline constexpr std::uint16_t kFlagAuthentic = 0x0020, kFlagCheckingDisabled = 0x0010, kRcodeMask = 0x000f;
inline constexpr std::uint16_t kClassIn = 1;
inline constexpr std::uint16_t kEdnsUdpSize = 1232;  // DNS flag day 2020
inline constexpr std::size_t kOptLength = 11;        // of an OPT without options: RFC 6891 section 6.1.2
inline constexpr std::uint16_t kOptDo = 0x8000;      // in the last two bytes of an OPT's TTL field

inline std::uint16_t read_u16(std::span<const std::uint8_t> message, std::size_t at) {
  return static_cast<std::uint16_t>(message[at] << 8 | message[at + 1]);
}

inline std::uint32_t read_u32(std::span<const std::uint8_t> message, std::size_t at) {
  return std::uint32_t{read_u16(message, at)} << 16 | read_u16(message, at + 2);
}

inline void write_u16(std::span<std::uint8_t> message, std::size_t at, unsigned value) {
  message[at] = static_cast<std::uint8_t>(value >> 8);
  message[at + 1] = static_cast<std::uint8_t>(value);
}

inline void write_u32(std::span<std::uint8_t> message, std::size_t at, std::uint32_t value) {
  write_u16(message, at, value >> 16);
  write_u16(message, at + 2, value & 0xffff);
}

inline void append_u16(std::vector<std::uint8_t>& message, std::size_t value) {
  message.push_back(static_cast<std::uint8_t>(value >> 8));
  message.push_back(static_cast<std::uint8_t>(value));
}

}  // namespace namewall
