// DNS messages on the wire (RFC 1035, EDNS RFC 6891): what namewall needs of them, bounded and without allocation
// surprises. The kernel programs implement the same rules; the differential test holds them together.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/domain_name.h"
#include "policy/result.h"

namespace namewall {

inline constexpr std::uint16_t kTypeA = 1, kTypeCname = 5, kTypeAaaa = 28, kTypeOpt = 41;
inline constexpr std::size_t kMaxQuestionLength = 512;  // bytes of a question message
inline constexpr std::size_t kMaxAnswerLength = 4096;   // bytes of an answer message that teaches
inline constexpr std::size_t kMaxAnswerRecords = 256;   // records of the answer section that are read
inline constexpr std::size_t kMaxPointerHops = 16;      // compression pointers followed in one name

struct DnsQuestion {
  std::uint16_t id = 0;
  DomainName name;
  std::uint16_t type = 0;
  std::uint16_t record_class = 1;
};

// A question as a workload may send it: QR 0, opcode 0, TC 0, one question of class IN, no answers, no authority, at
// most one well-formed OPT (root owner; options fill RDLENGTH exactly) and nothing behind it; the name is not
// compressed and has only the characters of DomainName. Error: kInvalid, with what is wrong.
Result<DnsQuestion> parse_question(std::span<const std::uint8_t> message);

struct AddressRecord {
  Address address;
  std::uint32_t ttl = 0;  // seconds, the smallest on the path from the question name (RFC 2181 section 8: a TTL with the top bit set is 0)
  bool from_aaaa = false;
};

enum class AnswerKind {
  kTeaches,    // NOERROR, complete, parsed
  kTruncated,  // TC set
  kError,      // an RCODE other than NOERROR
};

struct DnsAnswer {
  std::uint16_t id = 0;
  AnswerKind kind = AnswerKind::kTeaches;
  std::uint8_t rcode = 0;
  std::uint16_t answer_count = 0;
  DomainName question_name;
  std::uint16_t question_type = 0;
  std::vector<AddressRecord> addresses;  // of kTeaches: those reached from the question name, in message order
};

// Reads a response: QR 1, opcode 0, one question. The answer section is read only for kTeaches. An error (kInvalid)
// anywhere in what is read refuses the whole message. See answer_chain.h for which addresses count.
Result<DnsAnswer> parse_answer(std::span<const std::uint8_t> message);

// Builders, for tests, fuzzers and the answers that the agent gives to refused questions.
std::vector<std::uint8_t> build_question(const DnsQuestion& question, bool with_edns = false);

}  // namespace namewall
