// The records of a DNS message as they stand: no name is expanded, nothing is allocated, each byte is looked at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace namewall {

enum class Section { kAnswer, kAuthority, kAdditional };

struct RecordPlace {
  Section section = Section::kAnswer;
  std::uint16_t type = 0;
  std::size_t owner = 0;  // offsets
  std::size_t fixed = 0;  // of type, class, TTL, RDLENGTH: 10 bytes
  std::size_t data = 0;
  std::size_t end = 0;  // behind the data
};

// The offset behind the name at `at`: labels, then the end byte or a pointer to in front of itself. 0: malformed, or it
// does not lie before `limit`.
std::size_t skip_name(std::span<const std::uint8_t> message, std::size_t at, std::size_t limit);

// The offset behind the one question of a message; 0: it is cut short, compressed or malformed.
std::size_t skip_question(std::span<const std::uint8_t> message);

class RecordWalk {
 public:
  // `at`: behind the question. The message has a whole header.
  RecordWalk(std::span<const std::uint8_t> message, std::size_t at);
  // The next record; false: there is none, or what follows is malformed.
  bool next(RecordPlace& place);
  // After next() said false: every record was there, and they fill the message exactly.
  bool is_complete() const { return left_[0] + left_[1] + left_[2] == 0 && at_ == message_.size(); }

 private:
  std::span<const std::uint8_t> message_;
  std::size_t at_;
  std::uint32_t left_[3];  // records of each section
};

}  // namespace namewall
