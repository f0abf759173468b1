#include "policy/answer_edit.h"

#include <algorithm>
#include <optional>

#include "policy/dns_message.h"
#include "policy/record_walk.h"
#include "policy/svcb_record.h"
#include "policy/wire_bytes.h"
#include "policy/wire_name.h"

namespace namewall {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kLeastUdpSize = 512;  // RFC 6891 section 6.2.3
constexpr std::uint16_t kTypeAny = 255;
constexpr std::uint16_t kNameError = 3;

auto malformed(const char* what) { return fail(ErrorKind::kInvalid, what); }

std::uint8_t lower(std::uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte; }

std::uint32_t read_ttl(Bytes message, const RecordPlace& place) {
  const std::uint32_t ttl = read_u32(message, place.fixed + 4);
  return (ttl & 0x80000000u) != 0 ? 0 : ttl;
}

// MINIMUM, the last of the five numbers behind the two names.
std::optional<std::uint32_t> soa_minimum(Bytes message, const RecordPlace& place) {
  constexpr std::size_t kNumbers = 20;
  if (place.end - place.data < kNumbers + 2) return std::nullopt;
  const std::uint32_t minimum = read_u32(message, place.end - 4);
  return (minimum & 0x80000000u) != 0 ? 0 : minimum;
}

// Names in the data of the types that may have compressed ones (RFC 1035, and RFC 3597 section 4), as they stand:
// `lead` bytes, then so many names. NAPTR has three strings between.
struct NamesInData {
  std::size_t lead = 0;
  unsigned strings = 0;
  unsigned names = 0;
};

NamesInData names_in_data(std::uint16_t type) {
  switch (type) {
    case 2:
    case 3:
    case 4:
    case 5:
    case 7:
    case 8:
    case 9:
    case 12:
    case 30:
    case 39:
      return {0, 0, 1};  // NS, MD, MF, CNAME, MB, MG, MR, PTR, NXT, DNAME
    case 6:
    case 14:
    case 17:
      return {0, 0, 2};  // SOA, MINFO, RP
    case 15:
    case 18:
    case 21:
    case 36:
    case kTypeSvcb:
    case kTypeHttps:
      return {2, 0, 1};  // MX, AFSDB, RT, KX
    case 24:
      return {18, 0, 1};  // SIG
    case 26:
      return {2, 0, 2};  // PX
    case 33:
      return {6, 0, 1};  // SRV
    case 35:
      return {4, 3, 1};  // NAPTR
    default:
      return {};
  }
}

// What is taken out of a message. Everything else is changed in place, at its old offset; at the end the rest closes
// up.
class Cuts {
 public:
  bool empty() const { return cuts_.empty(); }
  void add(std::size_t from, std::size_t to) {
    if (!cuts_.empty() && cuts_.back().to == from) {
      cuts_.back().to = to;
      cuts_.back().before_end += to - from;
    } else {
      cuts_.push_back({from, to, removed() + (to - from)});
    }
  }
  std::size_t removed() const { return cuts_.empty() ? 0 : cuts_.back().before_end; }
  // The offset of `at` in the closed-up message; nullopt: it is taken out.
  std::optional<std::size_t> moved(std::size_t at) const {
    const auto behind =
        std::upper_bound(cuts_.begin(), cuts_.end(), at, [](std::size_t x, const Cut& cut) { return x < cut.from; });
    if (behind == cuts_.begin()) return at;
    const Cut& last = *(behind - 1);
    if (at < last.to) return std::nullopt;
    return at - last.before_end;
  }
  void close_up(std::vector<std::uint8_t>& message) const {
    std::size_t written = cuts_.front().from;
    for (std::size_t i = 0; i < cuts_.size(); ++i) {
      const std::size_t next = i + 1 < cuts_.size() ? cuts_[i + 1].from : message.size();
      std::copy(message.begin() + static_cast<std::ptrdiff_t>(cuts_[i].to),
                message.begin() + static_cast<std::ptrdiff_t>(next),
                message.begin() + static_cast<std::ptrdiff_t>(written));
      written += next - cuts_[i].to;
    }
    message.resize(written);
  }

 private:
  struct Cut {
    std::size_t from, to;
    std::size_t before_end;  // bytes taken out up to `to`
  };
  std::vector<Cut> cuts_;
};

class Editor {
 public:
  Editor(Bytes answer, const AnswerEdit& edit, std::vector<std::uint8_t>& out)
      : answer_(answer), edit_(edit), out_(out) {}

  Result<void> run(std::size_t question_end) {
    RecordWalk walk(answer_, question_end);
    RecordPlace place;
    while (walk.next(place)) {
      if (Result<void> done = edit_record(place); !done) return done;
    }
    if (!walk.is_complete()) return malformed("the records do not fill the answer exactly");
    if (cuts_.empty()) return {};
    write_u16(out_, 2, read_u16(out_, 2) & ~unsigned{kFlagAuthentic});
    cuts_.close_up(out_);
    return {};
  }

 private:
  Result<void> edit_record(const RecordPlace& place) {
    if (place.type != kTypeOpt) {
      std::uint32_t ttl = read_ttl(answer_, place);
      if (place.type == kTypeSoa && place.section == Section::kAuthority) {
        ttl = std::min(ttl, soa_minimum(answer_, place).value_or(0));
      }
      write_u32(out_, place.fixed + 4, std::min(ttl - std::min(ttl, edit_.age), edit_.max_ttl));
    }
    if (!cuts_.empty() && !move_pointers(place)) return malformed("a name points into what is taken out");
    const bool is_service = place.type == kTypeSvcb || place.type == kTypeHttps;
    const bool takes_out = edit_.hints == Hints::kStrip || edit_.ech == Ech::kStrip;
    if (is_service && takes_out && !cut_params(place)) return malformed("an HTTPS or SVCB record does not parse");
    return {};
  }

  bool is_unwanted(std::uint16_t key) const {
    if (key == kSvcEch) return edit_.ech == Ech::kStrip;
    return (key == kSvcIpv4Hint || key == kSvcIpv6Hint) && edit_.hints == Hints::kStrip;
  }

  bool cut_params(const RecordPlace& place) {
    const std::size_t before = cuts_.removed();
    SvcParamWalk params(answer_, place.data, place.end);
    SvcParam param;
    while (params.next(param)) {
      if (is_unwanted(param.key)) {
        cuts_.add(param.at, param.end);
      } else if (param.key == kSvcMandatory) {
        cut_mandatory(param);
      }
    }
    const std::size_t length = place.end - place.data;
    write_u16(out_, place.fixed + 8, static_cast<unsigned>(length - (cuts_.removed() - before)));
    return params.is_valid();
  }

  void cut_mandatory(const SvcParam& param) {
    unsigned kept = 0;
    for (std::size_t at = param.value; at < param.end; at += 2) kept += is_unwanted(read_u16(answer_, at)) ? 0 : 2;
    if (kept == 0) return cuts_.add(param.at, param.end);
    write_u16(out_, param.at + 2, kept);
    for (std::size_t at = param.value; at < param.end; at += 2) {
      if (is_unwanted(read_u16(answer_, at))) cuts_.add(at, at + 2);
    }
  }

  // Every pointer of the record that means something behind a cut.
  bool move_pointers(const RecordPlace& place) {
    if (!move_pointer(place.owner, place.fixed)) return false;
    const NamesInData names = names_in_data(place.type);
    std::size_t at = place.data + names.lead;
    for (unsigned i = 0; i < names.strings; ++i) {
      if (at >= place.end) return false;
      at += 1u + answer_[at];
    }
    for (unsigned i = 0; i < names.names; ++i) {
      if (at >= place.end) return false;
      const std::size_t end = skip_name(answer_, at, place.end);
      if (end == 0 || !move_pointer(at, end)) return false;
      at = end;
    }
    return true;
  }

  // Of the name in [at, end), which skip_name took.
  bool move_pointer(std::size_t at, std::size_t end) {
    while (answer_[at] != 0 && answer_[at] < 0xc0) at += answer_[at] + 1u;
    if (answer_[at] == 0) return at + 1 == end;
    const auto target = cuts_.moved(read_u16(answer_, at) & 0x3fffu);
    if (target) write_u16(out_, at, 0xc000u | static_cast<unsigned>(*target));
    return target.has_value();
  }

  Bytes answer_;
  const AnswerEdit& edit_;
  std::vector<std::uint8_t>& out_;
  Cuts cuts_;
};

// Whether two messages, of which the first has its question up to `end`, ask the same; letters alike in both cases.
bool asks_the_same(Bytes question, std::size_t end, Bytes answer) {
  if (answer.size() < end) return false;
  const std::size_t name_end = end - 4;
  const auto same = [](std::uint8_t a, std::uint8_t b) { return a == b || lower(a) == lower(b); };
  return std::equal(question.begin() + kDnsHeaderLength, question.begin() + static_cast<std::ptrdiff_t>(name_end),
                    answer.begin() + kDnsHeaderLength, same) &&
         read_u32(question, name_end) == read_u32(answer, name_end);
}

// What any answer starts with: a response to one question. The offset behind it, 0 where it is something else.
std::size_t skip_answer_start(Bytes answer) {
  if (answer.size() < kDnsHeaderLength || answer.size() > kMaxMessageLength) return 0;
  if ((read_u16(answer, 2) & (kFlagResponse | kOpcodeMask)) != kFlagResponse) return 0;
  return read_u16(answer, 4) == 1 ? skip_question(answer) : 0;
}

// The seconds that the records of an answer allow, and what else decides whether it may be kept.
struct Lifetime {
  std::uint32_t seconds = UINT32_MAX;
  bool has_answer = false;   // a record of the question's type
  bool has_soa = false;      // in the authority section
  bool is_extended = false;  // an RCODE that the header cannot hold (RFC 6891 section 6.1.3)
};

void take_lifetime(Bytes answer, const RecordPlace& place, std::uint16_t question_type, Lifetime& lifetime) {
  if (place.type == kTypeOpt) {
    lifetime.is_extended |= answer[place.fixed + 4] != 0;
    return;
  }
  lifetime.seconds = std::min(lifetime.seconds, read_ttl(answer, place));
  if (place.section == Section::kAnswer) {
    lifetime.has_answer |= place.type == question_type || question_type == kTypeAny;
  } else if (place.section == Section::kAuthority && place.type == kTypeSoa) {
    lifetime.has_soa = true;
    lifetime.seconds = std::min(lifetime.seconds, soa_minimum(answer, place).value_or(0));
  }
}

}  // namespace

Result<std::vector<std::uint8_t>> upstream_question(Bytes question) {
  const Result<DnsQuestion> parsed = parse_question(question);
  if (!parsed) return tl::unexpected(parsed.error());
  const std::size_t name_end = kDnsHeaderLength + parsed->name.text().size() + 2;
  const bool has_opt = read_u16(question, 10) != 0;
  std::vector<std::uint8_t> out;
  out.reserve(name_end + 4 + kOptLength);
  append_u16(out, 0);
  append_u16(out, read_u16(question, 2) & (kFlagRecursionDesired | kFlagAuthentic | kFlagCheckingDisabled));
  for (const unsigned count : {1u, 0u, 0u, has_opt ? 1u : 0u}) append_u16(out, count);
  append_wire_name(out, parsed->name);
  append_u16(out, parsed->type);
  append_u16(out, parsed->record_class);
  if (!has_opt) return out;
  out.push_back(0);
  append_u16(out, kTypeOpt);
  append_u16(out, std::min<std::size_t>(udp_limit(question), kEdnsUdpSize));
  append_u16(out, 0);
  append_u16(out, read_u16(question, name_end + 4 + 7) & kOptDo);
  append_u16(out, 0);
  return out;
}

std::size_t udp_limit(Bytes question) {
  const std::size_t end = question.size() < kDnsHeaderLength ? 0 : skip_question(question);
  if (end == 0 || question.size() - end < kOptLength) return kLeastUdpSize;
  return std::max<std::size_t>(read_u16(question, end + 3), kLeastUdpSize);
}

void AnswerEdit::hold_to(const PolicyImage& image) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(image.max_ttl).count();
  max_ttl = static_cast<std::uint32_t>(std::min<std::int64_t>(seconds, max_ttl));
  if (image.hints == Hints::kStrip) hints = Hints::kStrip;
  if (image.ech == Ech::kStrip) ech = Ech::kStrip;
}

Result<void> edit_answer(Bytes answer, Bytes question, const AnswerEdit& edit, std::vector<std::uint8_t>& out) {
  const std::size_t question_end = question.size() < kDnsHeaderLength ? 0 : skip_question(question);
  if (question_end == 0) return malformed("the question does not parse");
  if (skip_answer_start(answer) != question_end || !asks_the_same(question, question_end, answer)) {
    return malformed("not an answer to this question");
  }
  out.assign(answer.begin(), answer.end());
  std::copy_n(question.begin(), 2, out.begin());
  std::copy_n(question.begin() + kDnsHeaderLength, question_end - 4 - kDnsHeaderLength, out.begin() + kDnsHeaderLength);
  return Editor(answer, edit, out).run(question_end);
}

std::uint32_t cacheable_seconds(Bytes answer) {
  const std::size_t question_end = skip_answer_start(answer);
  if (question_end == 0) return 0;
  const std::uint16_t flags = read_u16(answer, 2);
  const unsigned rcode = flags & kRcodeMask;
  if ((flags & kFlagTruncated) != 0 || (rcode != 0 && rcode != kNameError)) return 0;

  Lifetime lifetime;
  const std::uint16_t question_type = read_u16(answer, question_end - 4);
  RecordWalk walk(answer, question_end);
  RecordPlace place;
  while (walk.next(place)) take_lifetime(answer, place, question_type, lifetime);
  if (!walk.is_complete() || lifetime.is_extended) return 0;
  const bool is_negative = rcode != 0 || !lifetime.has_answer;
  return is_negative && !lifetime.has_soa ? 0 : lifetime.seconds;
}

}  // namespace namewall
