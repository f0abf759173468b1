// Netlink attributes in what the kernel answers: a range over bytes, which ends where they are no attributes any more.
#pragma once

#include <endian.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>

namespace namewall::nft {

class AttributeRange;

struct Attribute {
  std::uint16_t type = 0;  // without NLA_F_NESTED
  std::span<const std::uint8_t> payload;

  // Big endian. 0: the payload is too short.
  std::uint16_t u16() const { return be16toh(read<std::uint16_t>()); }
  std::uint32_t u32() const { return be32toh(read<std::uint32_t>()); }
  std::uint64_t u64() const { return be64toh(read<std::uint64_t>()); }
  std::string_view text() const {  // up to the NUL
    const std::string_view all(reinterpret_cast<const char*>(payload.data()), payload.size());
    return all.substr(0, all.find('\0'));
  }
  AttributeRange nested() const;

 private:
  template <typename Number>
  Number read() const {
    Number number = 0;
    if (payload.size() >= sizeof(number)) std::memcpy(&number, payload.data(), sizeof(number));
    return number;
  }
};

class AttributeRange {
 public:
  explicit AttributeRange(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  class Iterator {
   public:
    explicit Iterator(std::span<const std::uint8_t> rest) : rest_(rest) { read(); }
    const Attribute& operator*() const { return attribute_; }
    const Attribute* operator->() const { return &attribute_; }
    Iterator& operator++() {
      rest_ = rest_.subspan(std::min(rest_.size(), (NLA_HDRLEN + attribute_.payload.size() + 3) & ~std::size_t{3}));
      read();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return rest_.empty(); }

   private:
    void read() {
      nlattr head;
      if (rest_.size() < sizeof(head)) {
        rest_ = {};
        return;
      }
      std::memcpy(&head, rest_.data(), sizeof(head));
      if (head.nla_len < sizeof(head) || head.nla_len > rest_.size()) {
        rest_ = {};
        return;
      }
      attribute_ = {static_cast<std::uint16_t>(head.nla_type & NLA_TYPE_MASK),
                    rest_.subspan(sizeof(head), head.nla_len - sizeof(head))};
    }
    std::span<const std::uint8_t> rest_;
    Attribute attribute_;
  };

  Iterator begin() const { return Iterator(bytes_); }
  std::default_sentinel_t end() const { return {}; }
  std::optional<Attribute> find(std::uint16_t type) const {
    for (const auto& attribute : *this) {
      if (attribute.type == type) return attribute;
    }
    return std::nullopt;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

inline AttributeRange Attribute::nested() const { return AttributeRange(payload); }

// Of a whole message of nfnetlink.
inline AttributeRange attributes_of(const nlmsghdr& message) {
  constexpr std::size_t kHead = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
  if (message.nlmsg_len < kHead) return AttributeRange({});
  return AttributeRange({reinterpret_cast<const std::uint8_t*>(&message) + kHead, message.nlmsg_len - kHead});
}

}  // namespace namewall::nft
