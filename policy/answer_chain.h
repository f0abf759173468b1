// Which address records of an answer belong to the question: those whose owner is the question name or is reached from
// it through the CNAME records of the same answer, in any order, over at most kMaxAliases aliases.
//
// The walk is fixed, because the kernel does the same one: mark every record owned by the question name; then, until
// no unexpanded marked CNAME is left or kMaxAliases are expanded, take the first marked CNAME in message order that was
// not expanded, and mark every still unmarked record owned by its target, with the smaller of the two path TTLs.
// The first path that reaches a record counts. A record owned by an unmarked name teaches nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/dns_message.h"

namespace namewall {

inline constexpr std::size_t kMaxAliases = 16;

struct ChainRecord {  // a record of class IN and type A, AAAA or CNAME; others are dropped before
  std::string owner;  // normal form; owners may hold bytes that DomainName refuses: compared without ASCII case
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::string target;  // of a CNAME
  Address address;     // of A and AAAA
};

std::vector<AddressRecord> follow_chain(const std::string& question_name, const std::vector<ChainRecord>& records);

}  // namespace namewall
