#include "policy/record_walk.h"

#include "policy/domain_name.h"
#include "policy/wire_bytes.h"

namespace namewall {
namespace {

constexpr std::size_t kMaxWireName = 255;
constexpr std::size_t kFixedPart = 10;

}  // namespace

std::size_t skip_name(std::span<const std::uint8_t> message, std::size_t at, std::size_t limit) {
  const std::size_t start = at;
  while (at < limit) {
    const std::size_t length = message[at];
    if (length == 0) return at + 1;
    if (length >= 0xc0) {
      if (limit - at < 2) return 0;
      const std::size_t target = (length & 0x3f) << 8 | message[at + 1];
      return target >= kDnsHeaderLength && target < at ? at + 2 : 0;
    }
    if (length > kMaxLabelLength) return 0;
    at += length + 1;
    if (at - start >= kMaxWireName) return 0;
  }
  return 0;
}

std::size_t skip_question(std::span<const std::uint8_t> message) {
  std::size_t at = kDnsHeaderLength;
  while (at < message.size() && message[at] != 0) {
    if (message[at] > kMaxLabelLength || at - kDnsHeaderLength >= kMaxWireName) return 0;
    at += message[at] + 1u;
  }
  return at < message.size() && message.size() - at >= 5 ? at + 5 : 0;
}

RecordWalk::RecordWalk(std::span<const std::uint8_t> message, std::size_t at)
    : message_(message), at_(at), left_{read_u16(message, 6), read_u16(message, 8), read_u16(message, 10)} {}

bool RecordWalk::next(RecordPlace& place) {
  unsigned section = 0;
  while (section < 3 && left_[section] == 0) ++section;
  if (section == 3) return false;
  const std::size_t fixed = skip_name(message_, at_, message_.size());
  if (fixed == 0 || message_.size() - fixed < kFixedPart) return false;
  const std::size_t data = fixed + kFixedPart;
  const std::size_t length = read_u16(message_, fixed + 8);
  if (length > message_.size() - data) return false;
  place = {static_cast<Section>(section), read_u16(message_, fixed), at_, fixed, data, data + length};
  at_ = place.end;
  --left_[section];
  return true;
}

}  // namespace namewall
