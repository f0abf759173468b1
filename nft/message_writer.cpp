#include "nft/message_writer.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cassert>
#include <cstring>

namespace namewall::nft {

// New bytes are zero: so is all padding.
std::uint8_t* MessageWriter::grow(std::size_t size) {
  const auto at = bytes_.size();
  bytes_.resize(at + size);
  return bytes_.data() + at;
}

void MessageWriter::begin_message(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, std::uint8_t family,
                                  std::uint16_t resource) {
  struct Head {
    nlmsghdr netlink;
    nfgenmsg netfilter;
  };
  static_assert(sizeof(Head) == NLMSG_HDRLEN + sizeof(nfgenmsg));
  message_ = bytes_.size();
  const Head head{
      .netlink = {.nlmsg_len = 0, .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = sequence, .nlmsg_pid = 0},
      .netfilter = {.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)}};
  std::memcpy(grow(sizeof(head)), &head, sizeof(head));
}

void MessageWriter::end_message() {
  const auto length = static_cast<std::uint32_t>(bytes_.size() - message_);
  std::memcpy(bytes_.data() + message_, &length, sizeof(length));
}

void MessageWriter::put(std::uint16_t attribute, const void* bytes, std::size_t size) {
  auto* at = grow(attribute_size(size));
  const nlattr head{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + size), .nla_type = attribute};
  std::memcpy(at, &head, sizeof(head));
  if (size > 0) std::memcpy(at + sizeof(head), bytes, size);
}

void MessageWriter::put_u32(std::uint16_t attribute, std::uint32_t value) {
  const std::uint32_t big = htobe32(value);
  put(attribute, &big, sizeof(big));
}

void MessageWriter::put_u64(std::uint16_t attribute, std::uint64_t value) {
  const std::uint64_t big = htobe64(value);
  put(attribute, &big, sizeof(big));
}

void MessageWriter::put_string(std::uint16_t attribute, std::string_view text) {
  auto* at = grow(attribute_size(text.size() + 1));
  const nlattr head{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + text.size() + 1), .nla_type = attribute};
  std::memcpy(at, &head, sizeof(head));
  std::memcpy(at + sizeof(head), text.data(), text.size());
}

void MessageWriter::append(std::span<const std::uint8_t> bytes) {
  std::memcpy(grow(bytes.size()), bytes.data(), bytes.size());
}

std::size_t MessageWriter::begin_nest(std::uint16_t attribute) {
  const auto nest = bytes_.size();
  const nlattr head{.nla_len = 0, .nla_type = static_cast<std::uint16_t>(attribute | NLA_F_NESTED)};
  std::memcpy(grow(sizeof(head)), &head, sizeof(head));
  return nest;
}

void MessageWriter::end_nest(std::size_t nest) {
  const auto length = bytes_.size() - nest;
  assert(length <= 0xffff);
  const auto short_length = static_cast<std::uint16_t>(length);
  std::memcpy(bytes_.data() + nest, &short_length, sizeof(short_length));
}

}  // namespace namewall::nft
