// Domain names as they stand in DNS messages (RFC 1035 sections 3.1 and 4.1.4).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/domain_name.h"
#include "policy/result.h"

namespace namewall {

struct WireName {
  std::string text;     // lower case, labels joined by '.', "" for the root
  std::size_t end = 0;  // offset of the byte behind the name where it was read
};

// A plain name: no compression; 1 to 63 of the characters of DomainName in each label; 1 to kMaxNameLength characters
// in all, so never the root. What a question holds.
Result<WireName> read_plain_name(std::span<const std::uint8_t> message, std::size_t offset);

// Any name: label bytes are free; at most kMaxPointerHops pointers, each to an offset before its own; at most 255 bytes
// expanded, length bytes and end byte included. What stands in front of the first pointer ends at or before `limit`
// (so does that pointer). A '.' or '\' inside a label is written "\." or "\\": equal texts are equal names.
Result<WireName> read_compressed_name(std::span<const std::uint8_t> message, std::size_t offset, std::size_t limit);

// Uncompressed, with its end byte.
void append_wire_name(std::vector<std::uint8_t>& message, const DomainName& name);

}  // namespace namewall
