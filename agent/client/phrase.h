// Amounts and times in words. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace namewall::agent {

std::string phrase_seconds(double seconds);  // "0.4 s", "12 s", "3 min", "5 h", "2 d"
std::string phrase_ms(double milliseconds);  // "0.4 ms", "12 ms", "1.2 s"
std::string phrase_count(std::uint64_t count, std::string_view one, std::string_view many);  // "1 rule", "3 rules"
std::string phrase_amount(std::uint64_t amount);                                             // "9999", "12k", "4.5M"
std::string phrase_list(const std::vector<std::string>& words);                              // "a, b, c"
std::string clock_of(std::string_view rfc3339);  // "12:00:01" of "2026-01-31T12:00:01.123Z"; else as it is

}  // namespace namewall::agent
