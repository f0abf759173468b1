#include "tests/kernel/support/dns_bytes.h"

#include <cctype>

namespace namewall::kernel_tests {

DnsBytes::DnsBytes(std::uint16_t id, std::uint16_t flags, std::uint16_t questions, std::uint16_t answers,
                   std::uint16_t authority, std::uint16_t additional) {
  for (const auto word : {id, flags, questions, answers, authority, additional}) u16(word);
}

DnsBytes& DnsBytes::u8(std::uint8_t value) {
  bytes_.push_back(value);
  return *this;
}

DnsBytes& DnsBytes::u16(std::uint16_t value) {
  return u8(static_cast<std::uint8_t>(value >> 8)).u8(static_cast<std::uint8_t>(value));
}

DnsBytes& DnsBytes::u32(std::uint32_t value) {
  return u16(static_cast<std::uint16_t>(value >> 16)).u16(static_cast<std::uint16_t>(value));
}

DnsBytes& DnsBytes::raw(const Bytes& bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

DnsBytes& DnsBytes::labels(const std::string& text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('.', begin), text.size());
    u8(static_cast<std::uint8_t>(end - begin));
    bytes_.insert(bytes_.end(), text.begin() + static_cast<std::ptrdiff_t>(begin),
                  text.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end + 1;
  }
  return *this;
}

DnsBytes& DnsBytes::name(const std::string& text) { return labels(text).u8(0); }

DnsBytes& DnsBytes::pointer(std::uint16_t offset) { return u16(static_cast<std::uint16_t>(0xc000 | offset)); }

DnsBytes& DnsBytes::question(const std::string& text, std::uint16_t type, std::uint16_t record_class) {
  return name(text).u16(type).u16(record_class);
}

DnsBytes& DnsBytes::record(const std::string& owner, std::uint16_t type, std::uint32_t ttl, const Bytes& data) {
  return name(owner).u16(type).u16(1).u32(ttl).u16(static_cast<std::uint16_t>(data.size())).raw(data);
}

DnsBytes& DnsBytes::record_at(std::uint16_t owner, std::uint16_t type, std::uint32_t ttl, const Bytes& data) {
  return pointer(owner).u16(type).u16(1).u32(ttl).u16(static_cast<std::uint16_t>(data.size())).raw(data);
}

DnsBytes& DnsBytes::opt(std::uint16_t payload_size, const Bytes& options) {
  return u8(0).u16(41).u16(payload_size).u32(0).u16(static_cast<std::uint16_t>(options.size())).raw(options);
}

Bytes address_data(const Address& address) {
  if (address.is_v4()) {
    const auto v4 = address.v4_bytes();
    return Bytes(v4.begin(), v4.end());
  }
  return Bytes(address.bytes().begin(), address.bytes().end());
}

std::uint16_t address_type(const Address& address) { return address.is_v4() ? 1 : 28; }

Bytes name_data(const std::string& name) {
  const Bytes with_header = DnsBytes(0, 0, 0, 0).name(name).bytes();
  return Bytes(with_header.begin() + kDnsHeader, with_header.end());
}

ReadQuestion read_question(const Bytes& message) {
  ReadQuestion question;
  if (message.size() < kDnsHeader) return question;
  question.id = static_cast<std::uint16_t>(message[0] << 8 | message[1]);
  std::size_t at = kDnsHeader;
  while (at < message.size() && message[at] != 0) {
    const std::size_t length = message[at++];
    if (at + length > message.size()) return question;
    if (!question.name.empty()) question.name += '.';
    for (std::size_t i = 0; i < length; ++i) question.name += static_cast<char>(std::tolower(message[at + i]));
    at += length;
  }
  if (at + 5 > message.size()) return question;
  question.type = static_cast<std::uint16_t>(message[at + 1] << 8 | message[at + 2]);
  question.complete = true;
  return question;
}

Bytes make_question(std::uint16_t id, const std::string& name, std::uint16_t type, bool with_edns) {
  DnsBytes question(id, kFlagsQuestion, 1, 0, 0, with_edns ? 1 : 0);
  question.question(name, type);
  if (with_edns) question.opt();
  return question.bytes();
}

Bytes make_answer(const Bytes& question, const std::vector<ZoneRecord>& records, std::uint16_t flags) {
  const auto asked = read_question(question);
  DnsBytes answer(asked.id, flags, 1, static_cast<std::uint16_t>(records.size()));
  // The question section byte for byte: clients compare its case (0x20).
  const std::size_t end = kDnsHeader + asked.name.size() + (asked.name.empty() ? 1 : 2) + 4;
  answer.raw(Bytes(question.begin() + kDnsHeader, question.begin() + static_cast<std::ptrdiff_t>(end)));
  for (const auto& record : records) {
    const std::uint16_t type = record.alias.empty() ? address_type(record.address) : std::uint16_t{5};
    const Bytes data = record.alias.empty() ? address_data(record.address) : name_data(record.alias);
    if (record.owner == asked.name)
      answer.record_at(kDnsHeader, type, record.ttl, data);
    else
      answer.record(record.owner, type, record.ttl, data);
  }
  return answer.bytes();
}

}  // namespace namewall::kernel_tests
