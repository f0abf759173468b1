// The answers of replay scripts: text to messages, and what a client sees of one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/dns_builder.h"

namespace namewall::testing {

using Words = std::vector<std::string>;

// The one question of a script: NAME, NAME/AAAA, NAME/HTTPS, with !RCODE behind for the answer's RCODE.
struct ScriptQuestion {
  std::string name;
  std::uint16_t type = kTypeA;
  std::uint8_t rcode = 0;
};
std::optional<ScriptQuestion> parse_question_word(const std::string& word);

// The message that `QUESTION RECORD, ...` from `at` on describes; the form of records is in replay_script.h.
std::optional<Bytes> build_answer(const Words& words, std::size_t at);

// The keys of the HTTPS parameters of a message's answer section, "1,4,6"; "" where there are none.
std::string param_keys_of(const Bytes& message);

}  // namespace namewall::testing
