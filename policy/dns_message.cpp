#include "policy/dns_message.h"

#include <algorithm>

#include "policy/answer_chain.h"
#include "policy/wire_name.h"

namespace namewall {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kHeaderLength = 12;
constexpr std::uint16_t kFlagResponse = 0x8000, kFlagTruncated = 0x0200, kFlagRecursionDesired = 0x0100;
constexpr std::uint16_t kOpcodeMask = 0x7800, kRcodeMask = 0x000f;
constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kEdnsUdpSize = 1232;

auto malformed(const char* what) { return fail(ErrorKind::kInvalid, what); }

std::uint16_t read_u16(Bytes message, std::size_t at) {
  return static_cast<std::uint16_t>(message[at] << 8 | message[at + 1]);
}

std::uint32_t read_u32(Bytes message, std::size_t at) {
  return std::uint32_t{read_u16(message, at)} << 16 | read_u16(message, at + 2);
}

void append_u16(std::vector<std::uint8_t>& message, unsigned value) {
  message.push_back(static_cast<std::uint8_t>(value >> 8));
  message.push_back(static_cast<std::uint8_t>(value));
}

struct Header {
  std::uint16_t id, flags, questions, answers, authorities, additional;
};

Header read_header(Bytes message) {
  return {read_u16(message, 0), read_u16(message, 2), read_u16(message, 4),
          read_u16(message, 6), read_u16(message, 8), read_u16(message, 10)};
}

struct QuestionEntry {
  DnsQuestion question;
  std::size_t end;
};

Result<QuestionEntry> read_question_entry(Bytes message, std::uint16_t id) {
  Result<WireName> name = read_plain_name(message, kHeaderLength);
  if (!name) return tl::unexpected(name.error());
  if (message.size() - name->end < 4) return malformed("the question is cut short");
  const std::uint16_t record_class = read_u16(message, name->end + 2);
  if (record_class != kClassIn) return malformed("the question's class is not IN");
  return QuestionEntry{{id, DomainName::from_normal(std::move(name->text)), read_u16(message, name->end), record_class},
                       name->end + 4};
}

// Whether the rest of the message, from `at` on, is one OPT record.
bool is_one_opt(Bytes message, std::size_t at) {
  constexpr std::size_t kFixedPart = 11;
  if (message.size() - at < kFixedPart) return false;
  if (message[at] != 0 || read_u16(message, at + 1) != kTypeOpt) return false;
  Bytes options = message.subspan(at + kFixedPart);
  if (read_u16(message, at + 9) != options.size()) return false;
  for (std::size_t count = 0; !options.empty(); ++count) {
    if (count == kMaxOptions || options.size() < 4) return false;
    const std::size_t length = 4u + read_u16(options, 2);
    if (length > options.size()) return false;
    options = options.subspan(length);
  }
  return true;
}

struct RecordEntry {
  ChainRecord record;
  bool counts = false;  // class IN and a type of the chain
  std::size_t end = 0;
};

Result<RecordEntry> read_record(Bytes message, std::size_t at) {
  constexpr std::size_t kFixedPart = 10;
  Result<WireName> owner = read_compressed_name(message, at, message.size());
  if (!owner) return tl::unexpected(owner.error());
  if (message.size() - owner->end < kFixedPart) return malformed("a record is cut short");
  const std::uint16_t record_class = read_u16(message, owner->end + 2);
  const std::uint32_t ttl = read_u32(message, owner->end + 4);
  const std::size_t length = read_u16(message, owner->end + 8);
  const std::size_t data = owner->end + kFixedPart;
  if (length > message.size() - data) return malformed("a record runs past the end of the message");

  RecordEntry entry;
  entry.end = data + length;
  entry.record.type = read_u16(message, owner->end);
  entry.record.owner = std::move(owner->text);
  entry.record.ttl = (ttl & 0x80000000u) != 0 ? 0 : ttl;
  if (record_class != kClassIn) return entry;
  entry.counts = true;
  switch (entry.record.type) {
    case kTypeA: {
      std::array<std::uint8_t, 4> bytes;
      if (length != bytes.size()) return malformed("an A record is not 4 bytes long");
      std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(data), bytes.size(), bytes.begin());
      entry.record.address = Address::v4(bytes);
      break;
    }
    case kTypeAaaa: {
      std::array<std::uint8_t, 16> bytes;
      if (length != bytes.size()) return malformed("an AAAA record is not 16 bytes long");
      std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(data), bytes.size(), bytes.begin());
      entry.record.address = Address::v6(bytes);
      break;
    }
    case kTypeCname: {
      Result<WireName> target = read_compressed_name(message, data, entry.end);
      if (!target) return tl::unexpected(target.error());
      entry.record.target = std::move(target->text);
      break;
    }
    default:
      entry.counts = false;
  }
  return entry;
}

}  // namespace

Result<DnsQuestion> parse_question(Bytes message) {
  if (message.size() < kHeaderLength) return malformed("shorter than a DNS header");
  if (message.size() > kMaxQuestionLength) return malformed("longer than 512 bytes");
  const Header header = read_header(message);
  if ((header.flags & (kFlagResponse | kOpcodeMask | kFlagTruncated)) != 0) return malformed("not a standard query");
  if (header.questions != 1) return malformed("not exactly one question");
  if (header.answers != 0 || header.authorities != 0) return malformed("records in a question");
  if (header.additional > 1) return malformed("more than one additional record");
  Result<QuestionEntry> entry = read_question_entry(message, header.id);
  if (!entry) return tl::unexpected(entry.error());
  if (header.additional == 0 && entry->end != message.size()) return malformed("bytes behind the question");
  if (header.additional == 1 && !is_one_opt(message, entry->end)) {
    return malformed("something other than one well-formed OPT behind the question");
  }
  return std::move(entry->question);
}

Result<DnsAnswer> parse_answer(Bytes message) {
  if (message.size() < kHeaderLength) return malformed("shorter than a DNS header");
  if (message.size() > kMaxAnswerLength) return malformed("longer than 4096 bytes");
  const Header header = read_header(message);
  if ((header.flags & kFlagResponse) == 0) return malformed("not a response");
  if ((header.flags & kOpcodeMask) != 0) return malformed("not an answer to a standard query");
  if (header.questions != 1) return malformed("not exactly one question");
  Result<QuestionEntry> entry = read_question_entry(message, header.id);
  if (!entry) return tl::unexpected(entry.error());

  const bool truncated = (header.flags & kFlagTruncated) != 0;
  const auto rcode = static_cast<std::uint8_t>(header.flags & kRcodeMask);
  DnsAnswer answer{.id = header.id,
                   .kind = truncated    ? AnswerKind::kTruncated
                           : rcode != 0 ? AnswerKind::kError
                                        : AnswerKind::kTeaches,
                   .rcode = rcode,
                   .answer_count = header.answers,
                   .question_name = std::move(entry->question.name),
                   .question_type = entry->question.type,
                   .addresses = {}};
  if (answer.kind != AnswerKind::kTeaches) return answer;

  if (header.answers > kMaxAnswerRecords) return malformed("more than 256 answer records");
  std::vector<ChainRecord> records;
  std::size_t at = entry->end;
  for (unsigned i = 0; i < header.answers; ++i) {
    Result<RecordEntry> record = read_record(message, at);
    if (!record) return tl::unexpected(record.error());
    at = record->end;
    if (record->counts) records.push_back(std::move(record->record));
  }
  answer.addresses = follow_chain(answer.question_name.text(), records);
  return answer;
}

std::vector<std::uint8_t> build_question(const DnsQuestion& question, bool with_edns) {
  std::vector<std::uint8_t> message;
  append_u16(message, question.id);
  append_u16(message, kFlagRecursionDesired);
  append_u16(message, 1);
  append_u16(message, 0);
  append_u16(message, 0);
  append_u16(message, with_edns ? 1 : 0);
  append_wire_name(message, question.name);
  append_u16(message, question.type);
  append_u16(message, question.record_class);
  if (with_edns) {
    message.push_back(0);
    append_u16(message, kTypeOpt);
    append_u16(message, kEdnsUdpSize);
    append_u16(message, 0);
    append_u16(message, 0);
    append_u16(message, 0);
  }
  return message;
}

}  // namespace namewall
