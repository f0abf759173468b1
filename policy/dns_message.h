// DNS messages on the wire (RFC 1035, EDNS RFC 6891): what namewall needs of them, bounded and without allocation
// surprises. The kernel programs implement the same rules; the differential test holds them together.
//
// Names are walked in two ways (wire_name.h): the question's name strictly, record names with compression.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/domain_name.h"
#include "policy/result.h"

namespace namewall {

inline constexpr std::uint16_t kTypeA = 1, kTypeCname = 5, kTypeSoa = 6, kTypeAaaa = 28, kTypeOpt = 41;
inline constexpr std::uint16_t kTypeSvcb = 64, kTypeHttps = 65;  // RFC 9460
inline constexpr std::size_t kMaxQuestionLength = 512;           // bytes of a question message
inline constexpr std::size_t kMaxAnswerLength = 4096;            // bytes of an answer message that teaches
inline constexpr std::size_t kMaxAnswerRecords = 256;            // records of the answer section that are read
inline constexpr std::size_t kMaxMessageLength = 65535;          // of an answer that the proxy reads
inline constexpr std::size_t kMaxProxiedRecords = 4096;          // of its answer section
inline constexpr std::size_t kMaxTaughtAddresses = 4096;         // that one answer may teach, hints included
inline constexpr std::size_t kMaxPointerHops = 16;               // compression pointers followed in one name
inline constexpr std::size_t kMaxOptions = 16;                   // options in a question's OPT

struct DnsQuestion {
  std::uint16_t id = 0;
  DomainName name;
  std::uint16_t type = 0;
  std::uint16_t record_class = 1;
};

// A question as a workload may send it: at most kMaxQuestionLength bytes; QR 0, opcode 0, TC 0 (flags & 0xfa00 is 0,
// the other flags are free); one question of class IN, no answers, no authority, no additional record or one OPT, and
// nothing behind it. The name is plain_name of wire_name.h; its type is free. The OPT: root owner, RDLENGTH to the
// message's last byte, at most kMaxOptions options that fill it exactly; its class and TTL fields are free.
// Error: kInvalid, with what is wrong.
Result<DnsQuestion> parse_question(std::span<const std::uint8_t> message);

struct AddressRecord {
  Address address;
  std::uint32_t ttl = 0;  // seconds, the smallest on the path from the question name (RFC 2181 section 8: a TTL with
                          // the top bit set is 0)
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

// Reads a response, in this order; an error (kInvalid) anywhere in what is read refuses the whole message:
//   1. at most kMaxAnswerLength bytes, QR 1, opcode 0, QDCOUNT 1; the question: a plain name, class IN
//   2. TC set: kTruncated. RCODE not 0: kError. Nothing more is read of either
//   3. ANCOUNT at most kMaxAnswerRecords; each record of the answer section: the owner expands, its RDATA lies within
//      the message
//   4. of class IN: an A has 4 bytes, an AAAA 16; a CNAME's target expands, and the part of it in front of its first
//      pointer (or its whole, with its end byte) lies within the RDATA. Other classes and types are skipped
// What follows the answer section is not read. See answer_chain.h for which addresses count.
Result<DnsAnswer> parse_answer(std::span<const std::uint8_t> message);

// The same with other bounds in place of kMaxAnswerLength and kMaxAnswerRecords. `reads_hints`: an HTTPS or SVCB record
// of class IN counts as one A or AAAA record of its owner for each address of its ipv4hint and ipv6hint; one in
// AliasMode as a CNAME to its TargetName (RFC 9460 section 2.4.2). One that svcb_record.h refuses is an error. kLimit:
// more than kMaxTaughtAddresses records and hints.
struct AnswerBounds {
  std::size_t length = kMaxAnswerLength;
  std::size_t records = kMaxAnswerRecords;
  bool reads_hints = false;
};
Result<DnsAnswer> parse_answer(std::span<const std::uint8_t> message, const AnswerBounds& bounds);

// The message of a question, with RD; `with_edns` adds an OPT without options (1,232 bytes, DNS flag day 2020).
std::vector<std::uint8_t> build_question(const DnsQuestion& question, bool with_edns = false);

}  // namespace namewall
