// Netlink messages of nf_tables, written one behind the other into one growing buffer. Written by hand where libnftnl
// would allocate for each element (element.h: thousands a second); rules are libnftnl's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace namewall::nft {

class MessageWriter {
 public:
  // `type` with its subsystem; `family` and `resource` of nfgenmsg, `resource` in the host's byte order.
  void begin_message(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, std::uint8_t family,
                     std::uint16_t resource = 0);
  void end_message();

  void put(std::uint16_t attribute, const void* bytes, std::size_t size);
  void put(std::uint16_t attribute, std::span<const std::uint8_t> bytes) { put(attribute, bytes.data(), bytes.size()); }
  void put_u32(std::uint16_t attribute, std::uint32_t value);  // big endian, as all numbers of nf_tables
  void put_u64(std::uint16_t attribute, std::uint64_t value);
  void put_string(std::uint16_t attribute, std::string_view text);
  // Bytes that are put by somebody else: attributes as they are.
  void append(std::span<const std::uint8_t> bytes);

  std::size_t begin_nest(std::uint16_t attribute);
  void end_nest(std::size_t nest);  // at most 65535 bytes

  // Room for so many bytes more; many small ones in a row do not copy the whole each time.
  void reserve(std::size_t more) {
    const std::size_t wanted = bytes_.size() + more;
    if (wanted > bytes_.capacity()) bytes_.reserve(std::max(wanted, 2 * bytes_.capacity()));
  }
  std::size_t size() const { return bytes_.size(); }
  std::span<const std::uint8_t> bytes() const { return bytes_; }

 private:
  std::uint8_t* grow(std::size_t size);
  std::vector<std::uint8_t> bytes_;
  std::size_t message_ = 0;
};

// Of an attribute with `size` bytes in it.
constexpr std::size_t attribute_size(std::size_t size) { return 4 + ((size + 3) & ~std::size_t{3}); }

}  // namespace namewall::nft
