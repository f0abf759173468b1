// The DNS side of a workload: which questions may leave, what an answer teaches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policy/boot_time.h"
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
};
Teaching judge_answer(const PolicyImage& image, std::span<const std::uint8_t> message,
                      const std::vector<Address>& own_addresses, BootTime now);

}  // namespace namewall
