// DNS answers as text, for `explain --answers`: one record per line in the order of a zone file, as `dig +noall
// +answer` prints them, and as the message that the model judges.
//
//   registry.npmjs.org.      300  IN  CNAME  cdn.example.
//   cdn.example              60       A      192.0.2.7      # TTL and class in any order; without a TTL: 60
//   cdn.example              AAAA 60         2001:db8::7    # the TTL may follow the type
//
// `;` and `#` begin a comment. Records of other types are passed over: they teach nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/address.h"
#include "policy/diagnostic.h"
#include "policy/dns_message.h"
#include "policy/domain_name.h"

namespace namewall {

struct AnswerRecord {
  DomainName owner;
  std::uint32_t ttl = 60;
  std::variant<Address, DomainName> value;  // A or AAAA by the family; CNAME
  std::uint16_t type() const;
};

struct AnswerText {
  std::vector<AnswerRecord> records;
  std::vector<Diagnostic> diagnostics;  // all errors
};

inline constexpr std::size_t kMaxAnswerTextRecords = 100'000;

AnswerText parse_answer_text(std::string_view text, std::string_view file_name);

// The names that no CNAME of the records points to, each once, in order: what was asked.
std::vector<DomainName> asked_names(const std::vector<AnswerRecord>& records);

// The answer (NOERROR, complete) to the question that holds the CNAMEs and the addresses of the question's type.
std::vector<std::uint8_t> build_answer(const DnsQuestion& question, const std::vector<AnswerRecord>& records);

}  // namespace namewall
