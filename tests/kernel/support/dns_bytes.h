// DNS messages written byte by byte, so that tests can also say what no honest server would.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/address.h"

namespace namewall::kernel_tests {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint16_t kFlagResponse = 0x8000, kFlagTruncated = 0x0200;
inline constexpr std::uint16_t kFlagsAnswer = 0x8180;    // QR, RD, RA, NOERROR
inline constexpr std::uint16_t kFlagsQuestion = 0x0100;  // RD
inline constexpr std::uint16_t kRcodeNxdomain = 3, kRcodeRefused = 5;
inline constexpr std::size_t kDnsHeader = 12;

class DnsBytes {
 public:
  // Counts are written as given; add_... does not change them.
  DnsBytes(std::uint16_t id, std::uint16_t flags, std::uint16_t questions, std::uint16_t answers,
           std::uint16_t authority = 0, std::uint16_t additional = 0);

  DnsBytes& name(const std::string& text);    // labels and the final zero; "" is the root
  DnsBytes& labels(const std::string& text);  // without the final zero
  DnsBytes& pointer(std::uint16_t offset);
  DnsBytes& u8(std::uint8_t value);
  DnsBytes& u16(std::uint16_t value);
  DnsBytes& u32(std::uint32_t value);
  DnsBytes& raw(const Bytes& bytes);
  DnsBytes& question(const std::string& name, std::uint16_t type, std::uint16_t record_class = 1);
  // One record of class IN; the owner as a name, or with record_at as a pointer.
  DnsBytes& record(const std::string& owner, std::uint16_t type, std::uint32_t ttl, const Bytes& data);
  DnsBytes& record_at(std::uint16_t owner, std::uint16_t type, std::uint32_t ttl, const Bytes& data);
  DnsBytes& opt(std::uint16_t payload_size = 4096, const Bytes& options = {});

  std::size_t size() const { return bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

Bytes address_data(const Address& address);          // RDATA of an A or AAAA record
std::uint16_t address_type(const Address& address);  // 1 or 28
Bytes name_data(const std::string& name);            // RDATA of a CNAME

struct ReadQuestion {
  std::uint16_t id = 0;
  std::string name;  // lower case
  std::uint16_t type = 0;
  bool complete = false;
};
// Lenient: what an honest server takes from a question.
ReadQuestion read_question(const Bytes& message);

Bytes make_question(std::uint16_t id, const std::string& name, std::uint16_t type, bool with_edns = false);

struct ZoneRecord {
  std::string owner;
  std::uint32_t ttl = 60;
  std::string alias;  // of a CNAME
  Address address;    // else
};
// An honest answer to `question` with these records in this order; owners equal to the question are compressed.
Bytes make_answer(const Bytes& question, const std::vector<ZoneRecord>& records, std::uint16_t flags = kFlagsAnswer);

}  // namespace namewall::kernel_tests
