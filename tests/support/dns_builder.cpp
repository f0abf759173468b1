#include "tests/support/dns_builder.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace namewall::testing {
namespace {

void append_u16(Bytes& message, std::size_t value) {
  message.push_back(static_cast<std::uint8_t>(value >> 8));
  message.push_back(static_cast<std::uint8_t>(value));
}

[[noreturn]] void give_up(const char* what, std::string_view text) {
  std::fprintf(stderr, "test set-up: %s: %.*s\n", what, static_cast<int>(text.size()), text.data());
  std::abort();
}

// Writes names, each suffix once: later ones point at it (RFC 1035 section 4.1.4).
class NameWriter {
 public:
  NameWriter(Bytes& message, bool compress) : message_(message), compress_(compress) {}

  void write(std::string_view text) {
    const Bytes name = wire_name(text);
    for (std::size_t at = 0; name[at] != 0; at += name[at] + 1u) {
      const Bytes suffix(name.begin() + static_cast<std::ptrdiff_t>(at), name.end());
      const auto seen = seen_.find(suffix);
      if (compress_ && seen != seen_.end()) return append_u16(message_, 0xc000 | seen->second);
      if (message_.size() < 0x4000) seen_.emplace(suffix, message_.size());
      message_.insert(message_.end(), suffix.begin(), suffix.begin() + name[at] + 1);
    }
    message_.push_back(0);
  }

 private:
  Bytes& message_;
  bool compress_;
  std::map<Bytes, std::size_t> seen_;
};

}  // namespace

Address address_of(std::string_view text) {
  const std::optional<Address> address = parse_address(text);
  if (!address) give_up("not an address", text);
  return *address;
}

DomainName name_of(std::string_view text) {
  Result<DomainName> name = DomainName::parse(text);
  if (!name) give_up("not a name", text);
  return *std::move(name);
}

Bytes wire_name(std::string_view text) {
  Bytes name;
  Bytes label;
  const auto end_label = [&] {
    if (label.empty()) return;
    name.push_back(static_cast<std::uint8_t>(label.size()));
    name.insert(name.end(), label.begin(), label.end());
    label.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '.') {
      end_label();
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    label.push_back(static_cast<std::uint8_t>(text[i]));
  }
  end_label();
  name.push_back(0);
  return name;
}

Bytes service_data(std::uint8_t priority, std::string_view target,
                   const std::vector<std::pair<std::uint8_t, Bytes>>& params) {
  Bytes data = {0, priority};
  const Bytes name = wire_name(target);
  data.insert(data.end(), name.begin(), name.end());
  for (const auto& [key, value] : params) {
    append_u16(data, key);
    append_u16(data, value.size());
    data.insert(data.end(), value.begin(), value.end());
  }
  return data;
}

AnswerBuilder::AnswerBuilder(std::string_view question_name, std::uint16_t type, std::uint16_t id)
    : question_name_(question_name), type_(type), id_(id) {}

AnswerBuilder& AnswerBuilder::a(std::string_view owner, std::uint32_t ttl, std::string_view address) {
  const auto bytes = address_of(address).bytes();
  return record({std::string(owner), kTypeA, ttl, Bytes(bytes.begin() + 12, bytes.end()), {}});
}

AnswerBuilder& AnswerBuilder::aaaa(std::string_view owner, std::uint32_t ttl, std::string_view address) {
  const auto bytes = address_of(address).bytes();
  return record({std::string(owner), kTypeAaaa, ttl, Bytes(bytes.begin(), bytes.end()), {}});
}

AnswerBuilder& AnswerBuilder::cname(std::string_view owner, std::uint32_t ttl, std::string_view target) {
  return record({std::string(owner), kTypeCname, ttl, {}, std::string(target)});
}

AnswerBuilder& AnswerBuilder::https(std::string_view owner, std::uint32_t ttl, const Bytes& data) {
  return record({std::string(owner), kTypeHttps, ttl, data, "", 1});
}

AnswerBuilder& AnswerBuilder::record(RawRecord record) {
  records_.push_back(std::move(record));
  return *this;
}

AnswerBuilder& AnswerBuilder::rcode(std::uint8_t code) {
  flags_ = static_cast<std::uint16_t>((flags_ & 0xfff0) | code);
  return *this;
}

AnswerBuilder& AnswerBuilder::truncated() {
  flags_ |= 0x0200;
  return *this;
}

AnswerBuilder& AnswerBuilder::flags(std::uint16_t flags) {
  flags_ = flags;
  return *this;
}

AnswerBuilder& AnswerBuilder::answer_count(std::uint16_t count) {
  answer_count_ = count;
  return *this;
}

AnswerBuilder& AnswerBuilder::uncompressed() {
  compress_ = false;
  return *this;
}

AnswerBuilder& AnswerBuilder::shuffled(std::mt19937& random) {
  std::shuffle(records_.begin(), records_.end(), random);
  return *this;
}

AnswerBuilder& AnswerBuilder::with_opt() {
  with_opt_ = true;
  return *this;
}

Bytes AnswerBuilder::build() const {
  Bytes message;
  NameWriter names(message, compress_);
  append_u16(message, id_);
  append_u16(message, flags_);
  append_u16(message, 1);
  append_u16(message, answer_count_.value_or(static_cast<std::uint16_t>(records_.size())));
  append_u16(message, 0);
  append_u16(message, with_opt_ ? 1 : 0);
  names.write(question_name_);
  append_u16(message, type_);
  append_u16(message, 1);
  for (const RawRecord& record : records_) {
    names.write(record.owner);
    append_u16(message, record.type);
    append_u16(message, record.record_class);
    append_u16(message, record.ttl >> 16);
    append_u16(message, record.ttl & 0xffff);
    const std::size_t length_at = message.size();
    append_u16(message, record.data.size());
    if (record.target.empty()) {
      message.insert(message.end(), record.data.begin(), record.data.end());
      continue;
    }
    names.write(record.target);
    const std::size_t length = message.size() - length_at - 2;
    message[length_at] = static_cast<std::uint8_t>(length >> 8);
    message[length_at + 1] = static_cast<std::uint8_t>(length);
  }
  if (with_opt_) {
    const Bytes opt = {0, 0, kTypeOpt, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
    message.insert(message.end(), opt.begin(), opt.end());
  }
  return message;
}

Bytes mutate_message(Bytes message, std::mt19937& random) {
  constexpr std::uint8_t kTelling[] = {0, 1, 3, 4, 5, 12, 16, 28, 63, 64, 0x80, 0xc0, 0xff};
  const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::size_t damages = 1 + below(4);
  for (std::size_t i = 0; i < damages && !message.empty(); ++i) {
    const auto at = message.begin() + static_cast<std::ptrdiff_t>(below(message.size()));
    switch (below(8)) {
      case 0:
        message.erase(at, message.end());
        break;
      case 1:
        message.erase(at);
        break;
      case 2:
        message.insert(at, *at);
        break;
      case 3:
      case 4:
        *at = kTelling[below(std::size(kTelling))];
        break;
      default:
        *at = static_cast<std::uint8_t>(*at ^ 1u << below(8));
    }
  }
  return message;
}

}  // namespace namewall::testing
