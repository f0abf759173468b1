#include "bench/worker/dns_wire.h"

#include <algorithm>
#include <initializer_list>

#include "bench/addresses.h"

namespace namewall::bench {
namespace {

// RFC 1035 section 4.1.1: the header; section 3.2.2: the types. RFC 6891: OPT.
constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeCname = 5;
constexpr std::uint16_t kTypeOpt = 41;
constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kResponse = 0x8180;  // QR, RD, RA, NOERROR
constexpr std::uint16_t kPointer = 0xc000;
constexpr std::uint32_t kLargestIndex = (1U << 24) - 2;

class Message {
 public:
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value) {
    u8(static_cast<std::uint8_t>(value >> 8));
    u8(static_cast<std::uint8_t>(value));
  }
  void u32(std::uint32_t value) {
    u16(static_cast<std::uint16_t>(value >> 16));
    u16(static_cast<std::uint16_t>(value));
  }
  void u16s(std::initializer_list<std::uint16_t> values) {
    for (const std::uint16_t value : values) u16(value);
  }
  void label(std::string_view text) {
    u8(static_cast<std::uint8_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void copy(std::span<const std::uint8_t> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::uint16_t size() const { return static_cast<std::uint16_t>(bytes_.size()); }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

std::uint16_t read_u16(std::span<const std::uint8_t> bytes, std::size_t offset) {
  return static_cast<std::uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

std::size_t question_end(std::span<const std::uint8_t> message) {
  std::size_t offset = kHeader;
  while (message[offset] != 0) offset += 1U + message[offset];
  return offset + 1 + 4;
}

// Two CNAMEs, each to a label before the question name. Returns where the last target's name lies.
std::uint16_t add_cnames(Message& message, std::uint32_t ttl) {
  std::uint16_t owner = kHeader;
  for (const std::string_view label : {"edge", "pool"}) {
    message.u16s({static_cast<std::uint16_t>(kPointer | owner), kTypeCname, kClassIn});
    message.u32(ttl);
    message.u16(static_cast<std::uint16_t>(1 + label.size() + 2));
    owner = message.size();
    message.label(label);
    message.u16(kPointer | kHeader);
  }
  return owner;
}

}  // namespace

std::vector<std::uint8_t> build_question(std::uint16_t id, std::string_view name) {
  Message message;
  message.u16s({id, kRecursionDesired, 1, 0, 0, 1});
  for (std::size_t start = 0; start < name.size();) {
    const std::size_t end = std::min(name.find('.', start), name.size());
    message.label(name.substr(start, end - start));
    start = end + 1;
  }
  message.u8(0);
  message.u16s({kTypeA, kClassIn});
  message.u8(0);
  message.u16s({kTypeOpt, static_cast<std::uint16_t>(kLargestMessage)});
  message.u32(0);
  message.u16(0);
  return message.take();
}

std::vector<std::uint8_t> build_answer(std::span<const std::uint8_t> question, const AnswerShape& shape,
                                       std::uint32_t first) {
  Message message;
  const auto records = static_cast<std::uint16_t>(shape.addresses + (shape.with_cnames ? 2 : 0));
  message.u16s({read_u16(question, 0), kResponse, 1, records, 0, 0});
  message.copy(question.subspan(kHeader, question_end(question) - kHeader));
  const std::uint16_t owner = shape.with_cnames ? add_cnames(message, shape.ttl) : std::uint16_t{kHeader};
  for (std::uint32_t i = 0; i < shape.addresses; ++i) {
    message.u16s({static_cast<std::uint16_t>(kPointer | owner), kTypeA, kClassIn});
    message.u32(shape.ttl);
    message.u16(4);
    message.copy(granted_address((first + i) % kLargestIndex));
  }
  return message.take();
}

bool is_answer(std::span<const std::uint8_t> message, std::uint16_t id) {
  return message.size() >= kHeader && read_u16(message, 0) == id && (message[2] & 0x80) != 0 &&
         (message[3] & 0x0f) == 0 && read_u16(message, 6) > 0;
}

}  // namespace namewall::bench
