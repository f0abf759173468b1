// DNS messages for tests: well-formed ones by intent, malformed ones on purpose.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "policy/address.h"
#include "policy/dns_message.h"

namespace namewall::testing {

using Bytes = std::vector<std::uint8_t>;

// Text that the test knows to be an address or a name; anything else ends the test program.
Address address_of(std::string_view text);
DomainName name_of(std::string_view text);

// The bytes of a name: labels as written (case kept, any byte but '.'; "\." puts a dot into a label), end byte last.
Bytes wire_name(std::string_view text);

struct RawRecord {
  std::string owner;
  std::uint16_t type = kTypeA;
  std::uint32_t ttl = 60;
  Bytes data;
  std::string target;  // of a CNAME: written instead of `data`, compressed like owners
  std::uint16_t record_class = 1;
};

// The data of an HTTPS record: priority, target ("" for the root), parameters (key, value) as given.
Bytes service_data(std::uint8_t priority, std::string_view target,
                   const std::vector<std::pair<std::uint8_t, Bytes>>& params);

// The answer to one question; records appear in the order of the calls.
class AnswerBuilder {
 public:
  explicit AnswerBuilder(std::string_view question_name, std::uint16_t type = kTypeA, std::uint16_t id = 0x1234);

  AnswerBuilder& a(std::string_view owner, std::uint32_t ttl, std::string_view address);
  AnswerBuilder& aaaa(std::string_view owner, std::uint32_t ttl, std::string_view address);
  AnswerBuilder& cname(std::string_view owner, std::uint32_t ttl, std::string_view target);
  AnswerBuilder& https(std::string_view owner, std::uint32_t ttl, const Bytes& data);
  AnswerBuilder& record(RawRecord record);

  AnswerBuilder& rcode(std::uint8_t code);
  AnswerBuilder& truncated();
  AnswerBuilder& flags(std::uint16_t flags);         // instead of QR RD RA
  AnswerBuilder& answer_count(std::uint16_t count);  // instead of the true one
  AnswerBuilder& uncompressed();                     // every name in full
  AnswerBuilder& shuffled(std::mt19937& random);     // the records so far, in another order
  AnswerBuilder& with_opt();                         // an empty OPT in the additional section

  Bytes build() const;

 private:
  std::string question_name_;
  std::uint16_t type_;
  std::uint16_t id_;
  std::uint16_t flags_ = 0x8180;
  std::optional<std::uint16_t> answer_count_;
  bool compress_ = true;
  bool with_opt_ = false;
  std::vector<RawRecord> records_;
};

// One to four small damages: bits flipped, bytes replaced by telling values, removed or doubled, the end cut off.
Bytes mutate_message(Bytes message, std::mt19937& random);

}  // namespace namewall::testing
