// The data of SVCB and HTTPS records (RFC 9460 section 2.2) as it stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace namewall {

inline constexpr std::uint16_t kSvcMandatory = 0, kSvcIpv4Hint = 4, kSvcEch = 5, kSvcIpv6Hint = 6;

struct SvcParam {
  std::uint16_t key = 0;
  std::size_t at = 0;     // offset of the key in the message
  std::size_t value = 0;  // offset of the value
  std::size_t end = 0;
};

// Priority, TargetName and the parameters of the record data [data, end) of a message. Keys ascend, no key comes twice,
// values fill the data exactly; those of the hints are whole addresses, at least one; that of `mandatory` is a list of
// keys, at least one. Anything else: is_valid() is false once next() says so.
class SvcParamWalk {
 public:
  SvcParamWalk(std::span<const std::uint8_t> message, std::size_t data, std::size_t end);
  bool next(SvcParam& param);
  bool is_valid() const { return valid_; }  // of what was read so far; of all of it after next() said false
  bool is_alias() const { return alias_; }  // priority 0: the record's target stands in for its owner
  std::size_t target() const;               // offset of TargetName

 private:
  std::span<const std::uint8_t> message_;
  std::size_t data_, at_, end_;
  std::uint32_t least_key_ = 0;
  bool valid_ = true;
  bool alias_ = false;
};

}  // namespace namewall
