#include "policy/dns_message.h"

#include <algorithm>

#include "policy/answer_chain.h"
#include "policy/svcb_record.h"
#include "policy/wire_bytes.h"
#include "policy/wire_name.h"

namespace namewall {
namespace {

using Bytes = std::span<const std::uint8_t>;

auto malformed(const char* what) { return fail(ErrorKind::kInvalid, what); }

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
  Result<WireName> name = read_plain_name(message, kDnsHeaderLength);
  if (!name) return tl::unexpected(name.error());
  if (message.size() - name->end < 4) return malformed("the question is cut short");
  const std::uint16_t record_class = read_u16(message, name->end + 2);
  if (record_class != kClassIn) return malformed("the question's class is not IN");
  return QuestionEntry{{id, DomainName::from_normal(std::move(name->text)), read_u16(message, name->end), record_class},
                       name->end + 4};
}

// Whether the rest of the message, from `at` on, is one OPT record.
bool is_one_opt(Bytes message, std::size_t at) {
  if (message.size() - at < kOptLength) return false;
  if (message[at] != 0 || read_u16(message, at + 1) != kTypeOpt) return false;
  Bytes options = message.subspan(at + kOptLength);
  if (read_u16(message, at + 9) != options.size()) return false;
  for (std::size_t count = 0; !options.empty(); ++count) {
    if (count == kMaxOptions || options.size() < 4) return false;
    const std::size_t length = 4u + read_u16(options, 2);
    if (length > options.size()) return false;
    options = options.subspan(length);
  }
  return true;
}

template <std::size_t kLength>
std::array<std::uint8_t, kLength> bytes_at(Bytes message, std::size_t at) {
  std::array<std::uint8_t, kLength> bytes;
  std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(at), kLength, bytes.begin());
  return bytes;
}

// The records of an answer section, one after the other.
class RecordReader {
 public:
  RecordReader(Bytes message, std::size_t at, bool reads_hints)
      : message_(message), at_(at), reads_hints_(reads_hints) {}

  // Adds what counts of the next record.
  Result<void> read() {
    constexpr std::size_t kFixedPart = 10;
    Result<WireName> owner = read_compressed_name(message_, at_, message_.size());
    if (!owner) return tl::unexpected(owner.error());
    const std::size_t fixed = owner->end;
    if (message_.size() - fixed < kFixedPart) return malformed("a record is cut short");
    const std::size_t length = read_u16(message_, fixed + 8);
    const std::size_t data = fixed + kFixedPart;
    if (length > message_.size() - data) return malformed("a record runs past the end of the message");
    at_ = data + length;
    if (read_u16(message_, fixed + 2) != kClassIn) return {};
    const std::uint32_t ttl = read_u32(message_, fixed + 4);
    ChainRecord record{.owner = std::move(owner->text),
                       .type = read_u16(message_, fixed),
                       .ttl = (ttl & 0x80000000u) != 0 ? 0 : ttl,
                       .target = {},
                       .address = {}};
    switch (record.type) {
      case kTypeA:
        if (length != 4) return malformed("an A record is not 4 bytes long");
        record.address = Address::v4(bytes_at<4>(message_, data));
        break;
      case kTypeAaaa:
        if (length != 16) return malformed("an AAAA record is not 16 bytes long");
        record.address = Address::v6(bytes_at<16>(message_, data));
        break;
      case kTypeCname:
        return add_alias(std::move(record), data);
      case kTypeSvcb:
      case kTypeHttps:
        return reads_hints_ ? read_service(std::move(record), data) : Result<void>();
      default:
        return {};
    }
    records_.push_back(std::move(record));
    return {};
  }

  const std::vector<ChainRecord>& records() const { return records_; }

 private:
  // To the name at `target`, in data that ends where the record does.
  Result<void> add_alias(ChainRecord record, std::size_t target) {
    Result<WireName> name = read_compressed_name(message_, target, at_);
    if (!name) return tl::unexpected(name.error());
    record.type = kTypeCname;
    record.target = std::move(name->text);
    records_.push_back(std::move(record));
    return {};
  }

  Result<void> read_service(ChainRecord record, std::size_t data) {
    SvcParamWalk params(message_, data, at_);
    SvcParam param;
    while (params.next(param)) {
      if (params.is_alias() || (param.key != kSvcIpv4Hint && param.key != kSvcIpv6Hint)) continue;
      const bool is_v4 = param.key == kSvcIpv4Hint;
      record.type = is_v4 ? kTypeA : kTypeAaaa;
      for (std::size_t at = param.value; at < param.end; at += is_v4 ? 4 : 16) {
        record.address = is_v4 ? Address::v4(bytes_at<4>(message_, at)) : Address::v6(bytes_at<16>(message_, at));
        records_.push_back(record);
        if (records_.size() > kMaxTaughtAddresses) return fail(ErrorKind::kLimit, "more than 4096 addresses");
      }
    }
    if (!params.is_valid()) return malformed("an HTTPS or SVCB record does not parse");
    return params.is_alias() ? add_alias(std::move(record), params.target()) : Result<void>();
  }

  Bytes message_;
  std::size_t at_;
  bool reads_hints_;
  std::vector<ChainRecord> records_;
};

}  // namespace

Result<DnsQuestion> parse_question(Bytes message) {
  if (message.size() < kDnsHeaderLength) return malformed("shorter than a DNS header");
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

Result<DnsAnswer> parse_answer(Bytes message) { return parse_answer(message, AnswerBounds()); }

Result<DnsAnswer> parse_answer(Bytes message, const AnswerBounds& bounds) {
  if (message.size() < kDnsHeaderLength) return malformed("shorter than a DNS header");
  if (message.size() > bounds.length) {
    return malformed(("longer than " + std::to_string(bounds.length) + " bytes").c_str());
  }
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

  if (header.answers > bounds.records) {
    return malformed(("more than " + std::to_string(bounds.records) + " answer records").c_str());
  }
  RecordReader reader(message, entry->end, bounds.reads_hints);
  for (unsigned i = 0; i < header.answers; ++i) {
    if (Result<void> read = reader.read(); !read) return tl::unexpected(read.error());
  }
  answer.addresses = follow_chain(answer.question_name.text(), reader.records());
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
