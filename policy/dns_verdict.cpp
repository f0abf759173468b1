#include "policy/dns_verdict.h"

#include <algorithm>

#include "policy/refusal_text.h"
#include "policy/special_use.h"

namespace namewall {
namespace {

bool is_audit(const PolicyImage& image) { return image.mode == Mode::kAudit; }

Teaching withhold(const PolicyImage& image, Reason reason) { return {is_audit(image), reason, {}}; }

QuestionVerdict judge_name(const PolicyImage& image, const DomainName& name) {
  const NameDecision decision = decide_name(image, name);
  if (decision.may_ask()) return {true, decision, NW_REASON_NONE};
  return {is_audit(image), decision, NW_REASON_NAME_NOT_ALLOWED};
}

BootTime deadline_of(const PolicyImage& image, std::uint32_t ttl, BootTime now) {
  if (image.retain != Retain::kTtl) return kNever;
  const Nanoseconds lifetime = std::max(image.min_ttl, std::min<Nanoseconds>(std::chrono::seconds(ttl), image.max_ttl));
  return now + lifetime + image.grace;
}

bool is_own(const Address& address, const std::vector<Address>& own_addresses) {
  const auto is_listed = [&](const Address& candidate) {
    return std::find(own_addresses.begin(), own_addresses.end(), candidate) != own_addresses.end();
  };
  const std::vector<Address> carried = embedded_ipv4(address);
  return is_listed(address) || std::any_of(carried.begin(), carried.end(), is_listed);
}

// Whether an answer says which addresses the name has now, be it none.
bool replaces(const PolicyImage& image, const DnsAnswer& answer) {
  constexpr std::uint8_t kNameError = 3;
  const bool tells =
      answer.kind == AnswerKind::kTeaches || (answer.kind == AnswerKind::kError && answer.rcode == kNameError);
  return image.retain == Retain::kUntilNextAnswer && tells;
}

std::uint8_t family_of(std::uint16_t type) { return type == kTypeA ? 4 : type == kTypeAaaa ? 6 : 0; }

Teaching judge(const PolicyImage& image, std::span<const std::uint8_t> message, const AnswerBounds& bounds,
               const std::vector<Address>& own_addresses, BootTime now) {
  if (message.size() > bounds.length) return withhold(image, NW_REASON_ANSWER_TOO_LONG);
  const Result<DnsAnswer> answer = parse_answer(message, bounds);
  if (!answer) {
    const bool is_long = answer.error().kind == ErrorKind::kLimit;
    return withhold(image, is_long ? NW_REASON_ANSWER_TOO_LONG : NW_REASON_ANSWER_MALFORMED);
  }
  if (answer->kind == AnswerKind::kTruncated) return {true, NW_REASON_ANSWER_TRUNCATED, {}};
  Teaching teaching;
  if (replaces(image, *answer)) teaching.replaces_family = family_of(answer->question_type);
  if (answer->kind == AnswerKind::kError && teaching.replaces_family == 0) return teaching;
  teaching.decision = decide_name(image, answer->question_name);
  const NameDecision& decision = teaching.decision;
  if (answer->kind == AnswerKind::kError) return teaching;
  if (!decision.may_ask() && !is_audit(image)) return withhold(image, NW_REASON_ANSWER_WITHDRAWN);
  if (!decision.teaches() && !is_audit(image)) {
    teaching.reason = NW_REASON_NAME_NOT_ALLOWED;
    teaching.replaces_family = 0;
    return teaching;
  }
  const auto note = [&](const Address& address, Reason reason) {
    teaching.grants.push_back({answer->question_name, address, now, 0, reason});
  };
  const auto grant = [&](const AddressRecord& record, PortMask ports) {
    const BootTime deadline = deadline_of(image, record.ttl, now);
    teaching.grants.push_back({answer->question_name, record.address, deadline, ports & kAllPorts, NW_REASON_NONE});
  };
  for (const AddressRecord& record : answer->addresses) {
    const SpecialUse use = classify_address(record.address, record.from_aaaa);
    if (is_own(record.address, own_addresses) || use == SpecialUse::kForbidden) {
      note(record.address, NW_REASON_SPECIAL_ANSWER);
    } else if (use == SpecialUse::kPublic) {
      grant(record, decision.allow);
    } else if (decision.allow_private != 0) {
      grant(record, decision.allow_private);
    } else {
      note(record.address, NW_REASON_PRIVATE_ANSWER);
    }
  }
  const bool grants_something = std::any_of(teaching.grants.begin(), teaching.grants.end(),
                                            [](const Grant& entry) { return entry.note == NW_REASON_NONE; });
  if (!decision.teaches()) {
    teaching.reason = NW_REASON_NAME_NOT_ALLOWED;
  } else if (!grants_something && !teaching.grants.empty()) {
    teaching.reason = teaching.grants.front().note;
  }
  return teaching;
}

}  // namespace

QuestionVerdict judge_question(const PolicyImage& image, std::span<const std::uint8_t> message) {
  const Result<DnsQuestion> question = parse_question(message);
  if (!question) return {is_audit(image), {}, NW_REASON_QUESTION_MALFORMED};
  return judge_name(image, question->name);
}

Teaching judge_answer(const PolicyImage& image, std::span<const std::uint8_t> message,
                      const std::vector<Address>& own_addresses, BootTime now) {
  return judge(image, message, AnswerBounds(), own_addresses, now);
}

Teaching judge_proxied_answer(const PolicyImage& image, std::span<const std::uint8_t> message,
                              const std::vector<Address>& own_addresses, BootTime now) {
  const AnswerBounds bounds{kMaxMessageLength, kMaxProxiedRecords, image.hints == Hints::kTeach};
  return judge(image, message, bounds, own_addresses, now);
}

ProxiedQuestion judge_proxied_question(const PolicyImage& image, std::span<const std::uint8_t> message) {
  Result<DnsQuestion> question = parse_question(message);
  if (question) return judge_proxied_question(image, *question);
  return {.verdict = {is_audit(image), {}, NW_REASON_QUESTION_MALFORMED},
          .question = {.id = 0, .name = DomainName::from_normal("")},
          .text = image.name + ": " + question.error().what};
}

ProxiedQuestion judge_proxied_question(const PolicyImage& image, const DnsQuestion& question) {
  ProxiedQuestion judged{.verdict = judge_name(image, question.name), .question = question, .text = {}};
  if (judged.verdict.reason != NW_REASON_NONE) judged.text = refusal_text(image, question.name);
  return judged;
}

}  // namespace namewall
