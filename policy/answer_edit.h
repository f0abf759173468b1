// What the proxy changes on the way: the question that a resolver is asked, and the answer that a client gets. Pure; no
// allocation but the output's; one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall {

// The question to ask for a client's: id 0, the name in lower case, type and class as they are, RD, AD and CD kept and
// no other flag, and where the client had an OPT, one without options: min(its size, 1232) but at least 512, DO kept.
// Two clients whose questions come out equal are served by one answer (edit_answer gives each its own id and spelling).
// kInvalid: not a question as parse_question() takes it.
Result<std::vector<std::uint8_t>> upstream_question(std::span<const std::uint8_t> question);

// Bytes that the client of a well-formed question takes by UDP: what its OPT says, at least 512; 512 without an OPT.
std::size_t udp_limit(std::span<const std::uint8_t> question);

struct AnswerEdit {
  std::uint32_t max_ttl = UINT32_MAX;  // seconds
  std::uint32_t age = 0;               // seconds for which the answer lay in the cache
  Hints hints = Hints::kTeach;
  Ech ech = Ech::kKeep;
  void hold_to(const PolicyImage& image);  // narrows: max_ttl, hints, ech. Once for each level of an asker
  friend bool operator==(const AnswerEdit&, const AnswerEdit&) = default;
};

// `out` becomes `answer` as the client that asked `question` gets it, byte for byte but for:
//   id, and the spelling of the question's name: the client's
//   TTLs of all records but OPT: min(TTL - age, max_ttl), not below 0; one with the top bit set is 0 (RFC 2181 section
//     8). That of an SOA in the authority section is held to its MINIMUM before (RFC 2308 section 3)
//   HTTPS and SVCB records (RFC 9460) in all sections: without ipv4hint and ipv6hint, without ech, as `edit` says; what
//     goes is taken out of `mandatory`, too. Pointers of compressed names follow. Where something went, AD is cleared:
//     no signature covers the rest
// What is judged (judge_proxied_answer) should be `out`: what the client will see, and how long it may keep it.
// kInvalid: not a whole answer to this question (id apart), at most 65,535 bytes, that fills the message exactly; or an
// HTTPS or SVCB record does not parse when something is to be taken out. `out` is then unspecified.
Result<void> edit_answer(std::span<const std::uint8_t> answer, std::span<const std::uint8_t> question,
                         const AnswerEdit& edit, std::vector<std::uint8_t>& out);

// Seconds for which an answer that edit_answer() takes may be given again; 0: not at all. The smallest TTL of all its
// records but OPT; of a negative answer (NXDOMAIN, or nothing of the question's type) also the SOA's TTL and MINIMUM
// (RFC 2308 section 5). 0 for other RCODEs, truncated, empty and malformed answers, and negative ones without an SOA.
std::uint32_t cacheable_seconds(std::span<const std::uint8_t> answer);

}  // namespace namewall
