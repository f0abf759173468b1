// Any bytes as a question and as an answer: what parses keeps the promises of dns_message.h.

#include <cstdint>
#include <cstdlib>
#include <span>

#include "policy/dns_message.h"

namespace {

using namespace namewall;

void require(bool promise) {
  if (!promise) std::abort();
}

void check_name(const DomainName& name) {
  require(!name.text().empty() && name.text().size() <= kMaxNameLength);
  for (const std::string_view label : name.labels()) {
    require(!label.empty() && label.size() <= 63);
    for (const char c : label) require(is_name_character(c));
  }
}

void check_question(std::span<const std::uint8_t> message) {
  const Result<DnsQuestion> question = parse_question(message);
  if (!question) return;
  require(message.size() <= kMaxQuestionLength && question->record_class == 1);
  check_name(question->name);
  // The same question, written by us, reads the same; the part of the message that we read is no longer than ours.
  const std::vector<std::uint8_t> rebuilt = build_question(*question);
  const Result<DnsQuestion> again = parse_question(rebuilt);
  require(again.has_value() && again->name == question->name && again->type == question->type &&
          again->id == question->id && rebuilt.size() <= message.size());
}

void check_answer(std::span<const std::uint8_t> message) {
  const Result<DnsAnswer> answer = parse_answer(message);
  if (!answer) return;
  require(message.size() <= kMaxAnswerLength);
  check_name(answer->question_name);
  require(answer->addresses.size() <= answer->answer_count);
  require(answer->kind == AnswerKind::kTeaches || answer->addresses.empty());
  if (answer->kind == AnswerKind::kTeaches) require(answer->answer_count <= kMaxAnswerRecords);
  for (const AddressRecord& record : answer->addresses) {
    require(record.ttl <= 0x7fffffff);
    require(record.from_aaaa || record.address.is_v4());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_question({data, size});
  check_answer({data, size});
  return 0;
}
