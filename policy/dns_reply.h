// Answers that namewall gives itself, built from the question's bytes: refusals, failures, truncation. Pure and
// bounded.
//
// Every reply has QR and RA set, keeps the question's id, its spelling of the name (0x20), RD and CD, and has no record
// but an OPT. The OPT is there when the question had one: 1,232 bytes, DO as in the question (RFC 3225 section 3), and
// the Extended DNS Error (RFC 8914) with its text. A reply never has more than 512 bytes: the text gives way first,
// without half a UTF-8 character at its end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"
#include "policy/result.h"

namespace namewall {

enum class ExtendedError : std::uint16_t {  // INFO-CODE, RFC 8914 section 4
  kNotReady = 14,
  kBlocked = 15,
  kFiltered = 17,
  kProhibited = 18,
  kNetworkError = 23,
};

struct OwnReply {
  std::uint8_t rcode = 0;
  std::optional<ExtendedError> error;
  std::string_view text;  // of the error
  bool truncated = false;
};

// A name that the policy refuses: nxdomain with 15 Blocked, refused with 18 Prohibited, nodata with 17 Filtered. No
// SOA, so that nobody caches it.
OwnReply refusal_reply(RefuseWith refuse_with, std::string_view text);
// A workload at a bound: REFUSED with 18 Prohibited (RFC 8914 has no code for rates; 18 is the one that it gives to a
// REFUSED for this client alone).
OwnReply bound_reply(std::string_view text);
// The answer is there, and its addresses are not in the kernel: SERVFAIL with 14 Not Ready.
OwnReply not_ready_reply(std::string_view text);
// No resolver answered: SERVFAIL with 23 Network Error.
OwnReply no_answer_reply(std::string_view text);
// The answer is longer than the client takes by UDP: NOERROR with TC, so that it asks again over TCP.
OwnReply truncated_reply();

// kInvalid: not a question as parse_question() takes it.
Result<std::vector<std::uint8_t>> build_reply(std::span<const std::uint8_t> question, const OwnReply& reply);

// To what is not such a question: a header alone with FORMERR, or NOTIMP for another opcode, so that nobody waits.
// nullopt: too short for a header, or itself a response: not to be answered.
std::optional<std::vector<std::uint8_t>> build_format_error(std::span<const std::uint8_t> message);

}  // namespace namewall
