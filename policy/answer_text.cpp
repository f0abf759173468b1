#include "policy/answer_text.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "policy/config_reader.h"
#include "policy/wire_name.h"

namespace namewall {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::uint16_t kClassIn = 1;

struct Word {
  std::string_view text;
  std::uint32_t column = 0;
};

std::vector<Word> words_of(std::string_view line) {
  std::vector<Word> words;
  line = line.substr(0, line.find_first_of(";#"));
  for (std::size_t at = line.find_first_not_of(kBlanks); at < line.size(); at = line.find_first_not_of(kBlanks, at)) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.push_back({line.substr(at, end - at), static_cast<std::uint32_t>(at + 1)});
    at = end;
  }
  return words;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_class_in(std::string_view text) { return fold_ascii_case(text) == "in"; }

class LineReader {
 public:
  LineReader(ConfigReader& report, std::uint32_t line) : report_(report), line_(line) {}

  std::optional<AnswerRecord> read(const std::vector<Word>& words) {
    Result<DomainName> owner = DomainName::parse(words.front().text);
    if (!owner) return refuse(words.front(), owner.error().what);
    AnswerRecord record{*std::move(owner), 60, Address()};
    std::string type;
    std::size_t at = 1;
    for (; at + 1 < words.size(); ++at) {
      const std::string_view word = words[at].text;
      if (is_number(word)) {
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), record.ttl);
        if (error != std::errc()) return refuse(words[at], "a TTL is at most 4294967295");
      } else if (!is_class_in(word)) {
        if (!type.empty()) break;
        type = fold_ascii_case(word);
      }
    }
    if (type.empty()) return refuse(words.front(), "accepted: NAME [TTL] [IN] TYPE VALUE");
    if (type != "a" && type != "aaaa" && type != "cname") return std::nullopt;
    if (at + 1 != words.size()) return refuse(words[at], "more than one value");
    return with_value(std::move(record), type, words.back());
  }

 private:
  std::optional<AnswerRecord> with_value(AnswerRecord record, const std::string& type, const Word& value) {
    if (type == "cname") {
      Result<DomainName> target = DomainName::parse(value.text);
      if (!target) return refuse(value, target.error().what);
      record.value = *std::move(target);
      return record;
    }
    const std::optional<Address> address = parse_address(value.text);
    if (!address || address->is_v4() != (type == "a")) {
      return refuse(value, quoted(value.text) + " is not an " + (type == "a" ? "IPv4" : "IPv6") + " address");
    }
    record.value = *address;
    return record;
  }

  std::nullopt_t refuse(const Word& word, std::string message) {
    report_.error({line_, word.column}, std::move(message));
    return std::nullopt;
  }

  ConfigReader& report_;
  std::uint32_t line_;
};

void append_u16(std::vector<std::uint8_t>& message, std::size_t value) {
  message.push_back(static_cast<std::uint8_t>(value >> 8));
  message.push_back(static_cast<std::uint8_t>(value));
}

void append_data(std::vector<std::uint8_t>& message, const AnswerRecord& record) {
  std::vector<std::uint8_t> data;
  if (const auto* target = std::get_if<DomainName>(&record.value)) {
    append_wire_name(data, *target);
  } else {
    const Address& address = std::get<Address>(record.value);
    const std::size_t first = address.is_v4() ? 12 : 0;
    data.assign(address.bytes().begin() + static_cast<std::ptrdiff_t>(first), address.bytes().end());
  }
  append_u16(message, data.size());
  message.insert(message.end(), data.begin(), data.end());
}

}  // namespace

std::uint16_t AnswerRecord::type() const {
  if (std::holds_alternative<DomainName>(value)) return kTypeCname;
  return std::get<Address>(value).is_v4() ? kTypeA : kTypeAaaa;
}

AnswerText parse_answer_text(std::string_view text, std::string_view file_name) {
  AnswerText answer;
  ConfigReader report(file_name);
  for (std::uint32_t line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::vector<Word> words = words_of(line);
    if (words.empty()) continue;
    if (answer.records.size() == kMaxAnswerTextRecords) {
      report.error({line_number, 1}, "accepted: at most " + std::to_string(kMaxAnswerTextRecords) + " records");
      break;
    }
    if (auto record = LineReader(report, line_number).read(words)) answer.records.push_back(*std::move(record));
  }
  answer.diagnostics = in_file_order(report.take_diagnostics());
  return answer;
}

std::vector<DomainName> asked_names(const std::vector<AnswerRecord>& records) {
  std::set<DomainName> seen;
  for (const AnswerRecord& record : records) {
    if (const auto* target = std::get_if<DomainName>(&record.value)) seen.insert(*target);
  }
  std::vector<DomainName> names;
  for (const AnswerRecord& record : records) {
    if (seen.insert(record.owner).second) names.push_back(record.owner);
  }
  return names;
}

std::vector<std::uint8_t> build_answer(const DnsQuestion& question, const std::vector<AnswerRecord>& records) {
  constexpr std::uint16_t kFlags = 0x8180;  // QR, RD, RA
  std::vector<const AnswerRecord*> answers;
  for (const AnswerRecord& record : records) {
    if (record.type() == question.type || record.type() == kTypeCname) answers.push_back(&record);
  }
  std::vector<std::uint8_t> message;
  append_u16(message, question.id);
  append_u16(message, kFlags);
  append_u16(message, 1);
  append_u16(message, std::min<std::size_t>(answers.size(), 0xffff));
  append_u16(message, 0);
  append_u16(message, 0);
  append_wire_name(message, question.name);
  append_u16(message, question.type);
  append_u16(message, kClassIn);
  for (const AnswerRecord* record : answers) {
    append_wire_name(message, record->owner);
    append_u16(message, record->type());
    append_u16(message, kClassIn);
    append_u16(message, record->ttl >> 16);
    append_u16(message, record->ttl & 0xffff);
    append_data(message, *record);
  }
  return message;
}

}  // namespace namewall
