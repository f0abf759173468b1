// Bytes as an answer, edited in every way for the question that it names: what comes out keeps the promises of
// answer_edit.h. The first byte says what is taken out, the next four are max_ttl and age.

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "policy/answer_edit.h"
#include "policy/dns_message.h"
#include "policy/record_walk.h"
#include "policy/svcb_record.h"
#include "policy/wire_bytes.h"

namespace {

using namespace namewall;
using Bytes = std::vector<std::uint8_t>;

void require(bool promise) {
  if (!promise) std::abort();
}

// The client's question with other letters than the answer has.
Bytes question_of(const Bytes& answer) {
  const std::size_t end = skip_question(answer);
  if (end == 0) return {};
  Bytes question(answer.begin(), answer.begin() + static_cast<std::ptrdiff_t>(end));
  question[0] ^= 0x55;
  for (std::size_t at = kDnsHeaderLength; at < end - 4; ++at) {
    const auto byte = question[at];
    const bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    if (is_letter && at % 3 == 0) question[at] ^= 0x20;
  }
  return question;
}

void check_records(const Bytes& out, const AnswerEdit& edit) {
  RecordWalk walk(out, skip_question(out));
  for (RecordPlace place; walk.next(place);) {
    if (place.type != kTypeOpt) require(read_u32(out, place.fixed + 4) <= edit.max_ttl);
    if (place.type != kTypeHttps && place.type != kTypeSvcb) continue;
    SvcParamWalk params(out, place.data, place.end);
    for (SvcParam param; params.next(param);) {
      const bool is_hint = param.key == kSvcIpv4Hint || param.key == kSvcIpv6Hint;
      require(edit.hints == Hints::kTeach || !is_hint);
      require(edit.ech == Ech::kKeep || param.key != kSvcEch);
    }
    require(params.is_valid() || (edit.hints == Hints::kTeach && edit.ech == Ech::kKeep));
  }
  require(walk.is_complete());
}

// The same records, in the same order and sections.
void check_order(const Bytes& answer, const Bytes& out) {
  RecordWalk before(answer, skip_question(answer)), after(out, skip_question(out));
  RecordPlace a, b;
  while (before.next(a)) {
    require(after.next(b));
    require(a.type == b.type && a.section == b.section && b.end - b.data <= a.end - a.data);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  const AnswerEdit edit{.max_ttl = read_u16({data, size}, 1),
                        .age = read_u16({data, size}, 3),
                        .hints = (data[0] & 1) != 0 ? Hints::kStrip : Hints::kTeach,
                        .ech = (data[0] & 2) != 0 ? Ech::kStrip : Ech::kKeep};
  const Bytes answer(data + 5, data + size);
  (void)upstream_question(answer);
  (void)udp_limit(answer);
  const std::uint32_t seconds = cacheable_seconds(answer);
  const Bytes question = answer.size() < kDnsHeaderLength ? Bytes() : question_of(answer);
  Bytes out;
  if (!edit_answer(answer, question, edit, out)) return 0;

  require(out.size() <= answer.size() && out[0] == question[0] && out[1] == question[1]);
  const bool takes_out = edit.hints == Hints::kStrip || edit.ech == Ech::kStrip;
  require(takes_out || out.size() == answer.size());
  check_records(out, edit);
  check_order(answer, out);
  require(cacheable_seconds(out) <= seconds);
  Bytes again;
  const AnswerEdit same{.max_ttl = edit.max_ttl, .age = 0, .hints = edit.hints, .ech = edit.ech};
  require(edit_answer(out, question, same, again).has_value() && again == out);
  return 0;
}
