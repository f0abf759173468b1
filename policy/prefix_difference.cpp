#include "policy/prefix_difference.h"

#include <algorithm>

namespace namewall {
namespace {

constexpr unsigned kMappedBits = 96;

// `prefix` one bit longer; that bit is set if `upper`.
Prefix half_of(const Prefix& prefix, bool upper) {
  auto bytes = prefix.base().bytes();
  const unsigned bit = prefix.length() + (prefix.is_v4() ? kMappedBits : 0U);
  if (upper) bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (0x80U >> (bit % 8)));
  return Prefix(Address::v6(bytes), static_cast<std::uint8_t>(prefix.length() + 1), prefix.is_v4());
}

void append_difference(const Prefix& whole, const Prefix& hole, std::vector<Prefix>& left) {
  if (!overlap(whole, hole)) {
    left.push_back(whole);
    return;
  }
  Prefix rest = whole;
  while (rest.length() < hole.length()) {
    const bool in_upper = half_of(rest, true).contains(hole);
    left.push_back(half_of(rest, !in_upper));
    rest = half_of(rest, in_upper);
  }
}

}  // namespace

bool overlap(const Prefix& a, const Prefix& b) { return a.is_v4() == b.is_v4() && (a.contains(b) || b.contains(a)); }

std::vector<Prefix> subtract_prefixes(const Prefix& whole, std::span<const Prefix> holes) {
  std::vector<Prefix> left = {whole};
  for (const Prefix& hole : holes) {
    std::vector<Prefix> next;
    for (const Prefix& prefix : left) append_difference(prefix, hole, next);
    left = std::move(next);
  }
  std::sort(left.begin(), left.end(), [](const Prefix& a, const Prefix& b) { return a.base() < b.base(); });
  return left;
}

}  // namespace namewall
