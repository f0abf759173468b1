// Reading numbers and white space as Spin does, whose rules are Rust's: a port may have a `+` and leading zeros.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace namewall {

// Without the Unicode white space at both ends.
std::string_view trim_spin_text(std::string_view text);

// Digits behind an optional `+`, at most `max`.
std::optional<std::uint32_t> parse_spin_number(std::string_view text, std::uint32_t max);

// Every character is a letter of some script; true for the empty text.
bool is_spin_alphabetic(std::string_view utf8);

// Percent escapes decoded, `%` without two hexadecimal digits left as it is.
std::string decode_percent(std::string_view text);

}  // namespace namewall
