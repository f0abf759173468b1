// DNS messages of the benchmark: questions as resolvers' clients send them, answers as a crafted server gives them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace namewall::bench {

inline constexpr std::size_t kLargestMessage = 4096;

// One A question with an OPT record that takes answers of 4,096 bytes. `name`: lower case, labels joined by '.'.
std::vector<std::uint8_t> build_question(std::uint16_t id, std::string_view name);

struct AnswerShape {
  std::uint16_t addresses = 1;
  bool with_cnames = false;  // the question name leads to the addresses over two CNAMEs
  std::uint32_t ttl = 300;
};

// The answer to `question`, which came from build_question. Addresses: granted_address(first), +1, ... wrapping at the
// end of the network
std::vector<std::uint8_t> build_answer(std::span<const std::uint8_t> question, const AnswerShape& shape,
                                       std::uint32_t first);

// NOERROR with this id and at least one record in its answer section.
bool is_answer(std::span<const std::uint8_t> message, std::uint16_t id);

}  // namespace namewall::bench
