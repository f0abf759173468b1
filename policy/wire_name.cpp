#include "policy/wire_name.h"

#include <algorithm>

#include "policy/dns_message.h"

namespace namewall {
namespace {

constexpr std::size_t kMaxExpanded = 255;

char lower(std::uint8_t byte) { return static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte); }

auto malformed(const char* what) { return fail(ErrorKind::kInvalid, what); }

}  // namespace

Result<WireName> read_plain_name(std::span<const std::uint8_t> message, std::size_t offset) {
  WireName name;
  for (std::size_t at = offset;;) {
    if (at >= message.size()) return malformed("the question's name runs past the end of the message");
    const std::size_t length = message[at++];
    if (length == 0) {
      name.end = at;
      break;
    }
    if (length > kMaxLabelLength) return malformed("the question's name is compressed");
    if (length > message.size() - at) return malformed("the question's name runs past the end of the message");
    if (!name.text.empty()) name.text += '.';
    for (const std::uint8_t byte : message.subspan(at, length)) {
      const char c = lower(byte);
      if (!is_name_character(c)) {
        return malformed("the question's name has a character other than letters, digits, '-' and '_'");
      }
      name.text += c;
    }
    if (name.text.size() > kMaxNameLength) return malformed("the question's name is longer than 251 characters");
    at += length;
  }
  if (name.text.empty()) return malformed("the question's name is the root");
  return name;
}

Result<WireName> read_compressed_name(std::span<const std::uint8_t> message, std::size_t offset, std::size_t limit) {
  WireName name;
  std::size_t at = offset;
  std::size_t end_of_part = std::min(limit, message.size());
  std::size_t hops = 0;
  std::size_t expanded = 1;
  const auto leave_part = [&](std::size_t behind) {
    if (hops == 0) name.end = behind;
  };
  for (;;) {
    if (at >= end_of_part) return malformed("a name runs past its end");
    const std::size_t length = message[at];
    if (length == 0) {
      leave_part(at + 1);
      return name;
    }
    if (length >= 0xc0) {
      if (end_of_part - at < 2) return malformed("a compression pointer runs past its end");
      const std::size_t target = (length & 0x3f) << 8 | message[at + 1];
      if (target >= at) return malformed("a compression pointer does not point backwards");
      leave_part(at + 2);
      if (++hops > kMaxPointerHops) return malformed("a name has more than 16 compression pointers");
      at = target;
      end_of_part = message.size();
      continue;
    }
    if (length > kMaxLabelLength) return malformed("a label of an unknown kind");
    if (length > end_of_part - at - 1) return malformed("a label runs past its end");
    expanded += length + 1;
    if (expanded > kMaxExpanded) return malformed("a name is longer than 255 bytes");
    if (!name.text.empty()) name.text += '.';
    for (const std::uint8_t byte : message.subspan(at + 1, length)) {
      if (byte == '.' || byte == '\\') name.text += '\\';
      name.text += lower(byte);
    }
    at += length + 1;
  }
}

void append_wire_name(std::vector<std::uint8_t>& message, const DomainName& name) {
  for (const std::string_view label : name.labels()) {
    message.push_back(static_cast<std::uint8_t>(label.size()));
    message.insert(message.end(), label.begin(), label.end());
  }
  message.push_back(0);
}

}  // namespace namewall
