// The DNS side of a workload: which questions may leave, what an answer teaches.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/boot_time.h"
#include "policy/dns_message.h"
#include "policy/grant_table.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall {

struct QuestionVerdict {
  bool may_ask = false;
  NameDecision decision;
  Reason reason = NW_REASON_NONE;  // QUESTION_MALFORMED or NAME_NOT_ALLOWED; in audit mode beside may_ask
};
QuestionVerdict judge_question(const PolicyImage& image, std::span<const std::uint8_t> message);

// What an answer, already matched to its question, teaches at `now`: the grants to add (notes among them), or the
// reason why it is withheld. `own_addresses` are the host's own. In this order:
//   longer than kMaxAnswerLength, or does not parse: withheld, ANSWER_TOO_LONG, ANSWER_MALFORMED
//   truncated: delivered, ANSWER_TRUNCATED. An RCODE other than NOERROR: delivered
//   the question name may not be asked (any more): withheld, ANSWER_WITHDRAWN
//   it may only be asked, as a search-list form: delivered, NAME_NOT_ALLOWED, teaches nothing
//   then, for each address that belongs to the question, in message order:
//     own, or NAT64, 6to4 or Teredo form of an own one, or kForbidden: a note, SPECIAL_ANSWER
//     kPrivate, and the name has no private ports:                 a note, PRIVATE_ANSWER
//     otherwise a grant: allow_private for kPrivate, allow for public ones
//   A grant ends at now + clamp(TTL, min_ttl, max_ttl) + grace, with retain = workload never. A note's deadline is
//   `now`. The reason of an answer that gives notes alone is its first note's.
// Audit mode delivers everything, withheld answers with their reason, and learns the addresses of names that may not be
// asked or only be asked with ports 0, with NAME_NOT_ALLOWED.
struct Teaching {
  bool deliver = true;
  Reason reason = NW_REASON_NONE;  // of a withheld answer, or of one delivered that teaches nothing
  std::vector<Grant> grants;
  NameDecision decision = {};  // of the question name: what the kernel's name table has to say
  // retain = until-next-answer: the family (4 or 6) whose live grants of the question name end unless they are among
  // `grants`. 0: none.
  std::uint8_t replaces_family = 0;
};
Teaching judge_answer(const PolicyImage& image, std::span<const std::uint8_t> message,
                      const std::vector<Address>& own_addresses, BootTime now);

// The same for an answer that went by the proxy, where user space reads it: up to kMaxMessageLength bytes and
// kMaxProxiedRecords records, and with hints = kTeach the address hints of HTTPS and SVCB records on the chain count as
// addresses of the question name (those of ipv4hint as an A's, of ipv6hint as an AAAA's). More than
// kMaxTaughtAddresses: withheld, ANSWER_TOO_LONG. With retain = kUntilNextAnswer no grant has a deadline of its own,
// and an answer to a question for A or AAAA (NOERROR or NXDOMAIN, complete) sets `replaces_family`; other RCODEs,
// truncated and withheld answers end nothing.
Teaching judge_proxied_answer(const PolicyImage& image, std::span<const std::uint8_t> message,
                              const std::vector<Address>& own_addresses, BootTime now);

// judge_question for the proxy, with what it read and, where the name is refused (audit mode: would be), the text for
// people: "builder: no rule names evil.example", "builder: deny rule *.evil.example names www.evil.example".
struct ProxiedQuestion {
  QuestionVerdict verdict;
  DnsQuestion question;  // unless QUESTION_MALFORMED
  std::string text;
};
ProxiedQuestion judge_proxied_question(const PolicyImage& image, std::span<const std::uint8_t> message);
// The same for the further levels of an asker: what was read need not be read again.
ProxiedQuestion judge_proxied_question(const PolicyImage& image, const DnsQuestion& question);

}  // namespace namewall
