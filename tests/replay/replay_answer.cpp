#include "tests/replay/replay_answer.h"

#include <charconv>
#include <sstream>

#include "policy/record_walk.h"
#include "policy/svcb_record.h"

namespace namewall::testing {
namespace {

std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Words split(const std::string& text, char separator) {
  std::istringstream stream(text);
  Words words;
  for (std::string word; std::getline(stream, word, separator);) words.push_back(word);
  return words;
}

Bytes hint_bytes(const std::string& list) {
  Bytes bytes;
  for (const std::string& text : split(list, '+')) {
    const Address address = address_of(text);
    if (address.is_v4()) {
      const auto v4 = address.v4_bytes();
      bytes.insert(bytes.end(), v4.begin(), v4.end());
    } else {
      bytes.insert(bytes.end(), address.bytes().begin(), address.bytes().end());
    }
  }
  return bytes;
}

// "1/./alpn/ipv4hint=192.0.2.1+192.0.2.2/ech": priority, target, parameters in the order of their keys.
std::optional<Bytes> parse_service(const std::string& text) {
  const Words parts = split(text, '/');
  const auto priority = parts.size() < 2 ? std::nullopt : parse_number(parts[0]);
  if (!priority || *priority > 255) return std::nullopt;
  std::vector<std::pair<std::uint8_t, Bytes>> params;
  for (std::size_t i = 2; i < parts.size(); ++i) {
    const std::string key = parts[i].substr(0, parts[i].find('='));
    const std::string value = parts[i].substr(std::min(parts[i].size(), key.size() + 1));
    if (key == "alpn") {
      params.push_back({1, {2, 'h', '2'}});
    } else if (key == "ech") {
      params.push_back({5, {0, 1, 7}});
    } else if (key == "ipv4hint" || key == "ipv6hint") {
      params.push_back({key == "ipv4hint" ? kSvcIpv4Hint : kSvcIpv6Hint, hint_bytes(value)});
    } else {
      return std::nullopt;
    }
  }
  return service_data(static_cast<std::uint8_t>(*priority), parts[1] == "." ? "" : parts[1], params);
}

// "A*4000": so many addresses, counted up from the one that is written.
bool add_addresses(AnswerBuilder& answer, const Words& record, std::uint32_t ttl) {
  const auto count = parse_number(std::string_view(record[1]).substr(2));
  if (!count) return false;
  const auto first = address_of(record[3]).v4_bytes();
  std::uint32_t number = 0;
  for (const std::uint8_t byte : first) number = number << 8 | byte;
  for (std::uint32_t i = 0; i < *count; ++i, ++number) {
    const auto byte = [number](unsigned shift) { return static_cast<std::uint8_t>(number >> shift); };
    answer.a(record[0], ttl, Address::v4({byte(24), byte(16), byte(8), byte(0)}).to_string());
  }
  return true;
}

bool add_record(AnswerBuilder& answer, const Words& record) {
  const std::optional<std::uint32_t> ttl = record.size() == 4 ? parse_number(record[2]) : std::nullopt;
  if (!ttl) return false;
  const std::string &owner = record[0], &type = record[1], &data = record[3];
  if (type.starts_with("A*")) return add_addresses(answer, record, *ttl);
  if (type == "A") {
    answer.a(owner, *ttl, data);
  } else if (type == "AAAA") {
    answer.aaaa(owner, *ttl, data);
  } else if (type == "CNAME") {
    answer.cname(owner, *ttl, data);
  } else if (const auto service = type == "HTTPS" ? parse_service(data) : std::nullopt) {
    answer.https(owner, *ttl, *service);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::optional<ScriptQuestion> parse_question_word(const std::string& word) {
  ScriptQuestion question;
  const std::size_t mark = word.find('!');
  const std::string rest = word.substr(0, mark);
  const std::size_t slash = rest.find('/');
  question.name = rest.substr(0, slash);
  if (mark != std::string::npos) {
    const auto rcode = parse_number(std::string_view(word).substr(mark + 1));
    if (!rcode || *rcode > 15) return std::nullopt;
    question.rcode = static_cast<std::uint8_t>(*rcode);
  }
  if (slash == std::string::npos) return question;
  const std::string type = rest.substr(slash + 1);
  if (type != "A" && type != "AAAA" && type != "HTTPS") return std::nullopt;
  question.type = type == "A" ? kTypeA : type == "AAAA" ? kTypeAaaa : kTypeHttps;
  return question;
}

std::optional<Bytes> build_answer(const Words& words, std::size_t at) {
  const auto question = at < words.size() ? parse_question_word(words[at]) : std::nullopt;
  if (!question) return std::nullopt;
  AnswerBuilder answer(question->name, question->type);
  if (question->rcode != 0) answer.rcode(question->rcode);
  Words record;
  for (std::size_t i = at + 1; i < words.size(); ++i) {
    record.push_back(words[i]);
    const bool has_comma = record.back().ends_with(',');
    if (!has_comma && i + 1 < words.size()) continue;
    if (has_comma) record.back().pop_back();
    if (record.size() == 3) record.insert(record.begin(), question->name);
    if (!add_record(answer, record)) return std::nullopt;
    record.clear();
  }
  return answer.build();
}

std::string param_keys_of(const Bytes& message) {
  std::string keys;
  RecordWalk walk(message, skip_question(message));
  for (RecordPlace place; walk.next(place);) {
    if (place.type != kTypeHttps) continue;
    SvcParamWalk params(message, place.data, place.end);
    for (SvcParam param; params.next(param);) keys += (keys.empty() ? "" : ",") + std::to_string(param.key);
  }
  return keys;
}

}  // namespace namewall::testing
