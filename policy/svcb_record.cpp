#include "policy/svcb_record.h"

#include "policy/record_walk.h"
#include "policy/wire_bytes.h"

namespace namewall {
namespace {

bool has_whole_values(std::uint16_t key, std::size_t length) {
  const std::size_t unit = key == kSvcIpv4Hint ? 4 : key == kSvcIpv6Hint ? 16 : key == kSvcMandatory ? 2 : 0;
  return unit == 0 || (length != 0 && length % unit == 0);
}

}  // namespace

SvcParamWalk::SvcParamWalk(std::span<const std::uint8_t> message, std::size_t data, std::size_t end)
    : message_(message), data_(data), at_(0), end_(end) {
  if (end - data >= 2) {
    alias_ = read_u16(message, data) == 0;
    at_ = skip_name(message, data + 2, end);
  }
  valid_ = at_ != 0;
}

std::size_t SvcParamWalk::target() const { return data_ + 2; }

bool SvcParamWalk::next(SvcParam& param) {
  if (!valid_ || at_ == end_) return false;
  valid_ = false;
  if (end_ - at_ < 4) return false;
  const std::uint16_t key = read_u16(message_, at_);
  const std::size_t length = read_u16(message_, at_ + 2);
  if (key < least_key_ || length > end_ - at_ - 4 || !has_whole_values(key, length)) return false;
  param = {key, at_, at_ + 4, at_ + 4 + length};
  least_key_ = key + 1u;
  at_ = param.end;
  return valid_ = true;
}

}  // namespace namewall
