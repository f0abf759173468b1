// Messages as text, so that a test can say what is sent: one line for each message, its attributes in brackets, numbers
// and bytes in hexadecimal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace namewall::nft {

struct SentMessage {
  std::uint16_t type = 0;   // NFNL_MSG_BATCH_BEGIN, or NFT_MSG_... without the subsystem
  std::uint16_t flags = 0;  // without NLM_F_REQUEST, which all have
  std::uint32_t sequence = 0;
  std::uint8_t family = 0;
  std::vector<std::uint8_t> attributes;
};
std::vector<SentMessage> split_messages(std::span<const std::uint8_t> bytes);

// "1 learned4": NUL-ended text as it is; "6d0": number; "[...]": nested. Attributes are "type=value".
std::string to_text(const SentMessage& message);
std::vector<std::string> to_texts(std::span<const std::uint8_t> bytes);
std::string to_hex(std::span<const std::uint8_t> bytes);

}  // namespace namewall::nft
