#include "policy/message_cuts.h"

#include <algorithm>

#include "policy/dns_message.h"
#include "policy/wire_bytes.h"

namespace namewall {
namespace {

using Bytes = std::span<const std::uint8_t>;

// As they stand: `lead` bytes, strings (NAPTR), names.
struct NamesInData {
  std::size_t lead = 0;
  unsigned strings = 0;
  unsigned names = 0;
};

NamesInData names_in_data(std::uint16_t type) {
  switch (type) {
    case 2:
    case 3:
    case 4:
    case 5:
    case 7:
    case 8:
    case 9:
    case 12:
    case 30:
    case 39:
      return {0, 0, 1};  // NS, MD, MF, CNAME, MB, MG, MR, PTR, NXT, DNAME
    case 6:
    case 14:
    case 17:
      return {0, 0, 2};  // SOA, MINFO, RP
    case 15:
    case 18:
    case 21:
    case 36:
    case kTypeSvcb:
    case kTypeHttps:
      return {2, 0, 1};  // MX, AFSDB, RT, KX
    case 24:
      return {18, 0, 1};  // SIG
    case 26:
      return {2, 0, 2};  // PX
    case 33:
      return {6, 0, 1};  // SRV
    case 35:
      return {4, 3, 1};  // NAPTR
    default:
      return {};
  }
}

}  // namespace

void MessageCuts::add(std::size_t from, std::size_t to) {
  if (!cuts_.empty() && cuts_.back().to == from) {
    cuts_.back().to = to;
    cuts_.back().before_end += to - from;
  } else {
    cuts_.push_back({from, to, removed() + (to - from)});
  }
}

std::optional<std::size_t> MessageCuts::moved(std::size_t at) const {
  const auto behind =
      std::upper_bound(cuts_.begin(), cuts_.end(), at, [](std::size_t x, const Cut& cut) { return x < cut.from; });
  if (behind == cuts_.begin()) return at;
  const Cut& last = *(behind - 1);
  if (at < last.to) return std::nullopt;
  return at - last.before_end;
}

bool MessageCuts::move_pointers(Bytes message, const RecordPlace& place, std::vector<std::uint8_t>& out) const {
  if (!move_pointer(message, place.owner, place.fixed, out)) return false;
  const NamesInData names = names_in_data(place.type);
  std::size_t at = place.data + names.lead;
  for (unsigned i = 0; i < names.strings; ++i) {
    if (at >= place.end) return false;
    at += 1u + message[at];
  }
  for (unsigned i = 0; i < names.names; ++i) {
    if (at >= place.end) return false;
    const std::size_t end = skip_name(message, at, place.end);
    if (end == 0 || !move_pointer(message, at, end, out)) return false;
    at = end;
  }
  return true;
}

// Of the name in [at, end), which skip_name took.
bool MessageCuts::move_pointer(Bytes message, std::size_t at, std::size_t end, std::vector<std::uint8_t>& out) const {
  while (message[at] != 0 && message[at] < 0xc0) at += message[at] + 1u;
  if (message[at] == 0) return at + 1 == end;
  const auto target = moved(read_u16(message, at) & 0x3fffu);
  if (target) write_u16(out, at, 0xc000u | static_cast<unsigned>(*target));
  return target.has_value();
}

void MessageCuts::close_up(std::vector<std::uint8_t>& message) const {
  std::size_t written = cuts_.front().from;
  for (std::size_t i = 0; i < cuts_.size(); ++i) {
    const std::size_t next = i + 1 < cuts_.size() ? cuts_[i + 1].from : message.size();
    std::copy(message.begin() + static_cast<std::ptrdiff_t>(cuts_[i].to),
              message.begin() + static_cast<std::ptrdiff_t>(next),
              message.begin() + static_cast<std::ptrdiff_t>(written));
    written += next - cuts_[i].to;
  }
  message.resize(written);
}

}  // namespace namewall
