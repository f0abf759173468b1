// Bytes as a question: every reply that namewall gives to it itself is a short, whole answer to it. The first byte says
// which reply, and how long its text is.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "policy/answer_edit.h"
#include "policy/dns_message.h"
#include "policy/dns_reply.h"
#include "policy/record_walk.h"
#include "policy/wire_bytes.h"

namespace {

using namespace namewall;
using Bytes = std::span<const std::uint8_t>;

void require(bool promise) {
  if (!promise) std::abort();
}

OwnReply choose(std::uint8_t selector, const std::string& text) {
  switch (selector % 7) {
    case 0:
      return refusal_reply(RefuseWith::kNxdomain, text);
    case 1:
      return refusal_reply(RefuseWith::kRefused, text);
    case 2:
      return refusal_reply(RefuseWith::kNodata, text);
    case 3:
      return bound_reply(text);
    case 4:
      return not_ready_reply(text);
    case 5:
      return no_answer_reply(text);
    default:
      return truncated_reply();
  }
}

void check_upstream(Bytes question) {
  const auto asked = upstream_question(question);
  require(asked.has_value());
  const auto parsed = parse_question(*asked), original = parse_question(question);
  require(parsed.has_value() && parsed->name == original->name && parsed->type == original->type);
  require(udp_limit(*asked) <= udp_limit(question) && asked->size() <= question.size());
  require(*upstream_question(*asked) == *asked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes question(data + 1, size - 1);
  const std::string text(std::size_t{data[0]} * 3, '\xc3');
  const auto format_error = build_format_error(question);
  if (format_error)
    require(format_error->size() == kDnsHeaderLength && (read_u16(*format_error, 2) & kFlagResponse) != 0);
  const auto reply = build_reply(question, choose(data[0], text));
  require(reply.has_value() == parse_question(question).has_value());
  if (!reply) return 0;
  check_upstream(question);
  require(reply->size() <= 512 && read_u16(*reply, 0) == read_u16(question, 0));
  require(read_u16(*reply, 10) == read_u16(question, 10));  // an OPT where there was one
  RecordWalk walk(*reply, skip_question(*reply));
  for (RecordPlace place; walk.next(place);) require(place.type == kTypeOpt && place.section == Section::kAdditional);
  require(walk.is_complete());
  std::vector<std::uint8_t> out;
  require(edit_answer(*reply, question, {}, out).has_value() && out == *reply);
  require(cacheable_seconds(*reply) == 0);  // no SOA: nobody keeps it
  return 0;
}
