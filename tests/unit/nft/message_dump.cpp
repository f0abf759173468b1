#include "tests/unit/nft/message_dump.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>

#include "nft/attribute.h"

namespace namewall::nft {
namespace {

struct Head {
  nlmsghdr netlink;
  nfgenmsg netfilter;
};

std::string describe(std::span<const std::uint8_t> attributes) {
  std::string text;
  while (attributes.size() >= sizeof(nlattr)) {
    nlattr head;
    std::memcpy(&head, attributes.data(), sizeof(head));
    if (head.nla_len < sizeof(head) || head.nla_len > attributes.size()) {
      ADD_FAILURE() << "an attribute of " << head.nla_len << " bytes in " << attributes.size();
      break;
    }
    const auto payload = attributes.subspan(sizeof(head), head.nla_len - sizeof(head));
    text += (text.empty() ? "" : " ") + std::to_string(head.nla_type & NLA_TYPE_MASK) + "=";
    if ((head.nla_type & NLA_F_NESTED) != 0) {
      text += "[" + describe(payload) + "]";
    } else {
      text += to_hex(payload);
    }
    attributes = attributes.subspan(std::min<std::size_t>(attributes.size(), (head.nla_len + 3u) & ~3u));
  }
  EXPECT_TRUE(attributes.empty());
  return text;
}

}  // namespace

std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::vector<SentMessage> split_messages(std::span<const std::uint8_t> bytes) {
  std::vector<SentMessage> messages;
  while (bytes.size() >= sizeof(Head)) {
    Head head;
    std::memcpy(&head, bytes.data(), sizeof(head));
    const auto length = head.netlink.nlmsg_len;
    if (length < sizeof(head) || length > bytes.size() || length % 4 != 0) break;
    EXPECT_EQ(head.netlink.nlmsg_flags & NLM_F_REQUEST, NLM_F_REQUEST);
    EXPECT_EQ(head.netlink.nlmsg_flags & NLM_F_ACK, 0) << "errors come without being asked for";
    const bool is_edge = head.netlink.nlmsg_type < NLMSG_MIN_TYPE * 2;
    EXPECT_EQ(ntohs(head.netfilter.res_id), is_edge ? NFNL_SUBSYS_NFTABLES : 0);
    EXPECT_EQ(head.netlink.nlmsg_type >> 8, is_edge ? 0 : NFNL_SUBSYS_NFTABLES);
    messages.push_back({.type = static_cast<std::uint16_t>(head.netlink.nlmsg_type & 0xff),
                        .flags = static_cast<std::uint16_t>(head.netlink.nlmsg_flags & ~NLM_F_REQUEST),
                        .sequence = head.netlink.nlmsg_seq,
                        .family = head.netfilter.nfgen_family,
                        .attributes = {bytes.begin() + sizeof(head), bytes.begin() + length}});
    bytes = bytes.subspan(length);
  }
  EXPECT_TRUE(bytes.empty()) << bytes.size() << " bytes are no message";
  return messages;
}

std::string to_text(const SentMessage& message) {
  std::string text = std::to_string(message.type);
  if (message.flags != 0)
    text += "/" + to_hex({{static_cast<std::uint8_t>(message.flags >> 8), static_cast<std::uint8_t>(message.flags)}});
  const auto attributes = describe(message.attributes);
  return attributes.empty() ? text : text + " " + attributes;
}

std::vector<std::string> to_texts(std::span<const std::uint8_t> bytes) {
  std::vector<std::string> texts;
  for (const auto& message : split_messages(bytes)) texts.push_back(to_text(message));
  return texts;
}

}  // namespace namewall::nft
