// Amounts of memory as text: a whole number of "KiB", "MiB" or "GiB", as in "8MiB"; "0" for none.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace namewall {

// nullopt: something else, or more than 2^53 bytes.
std::optional<std::uint64_t> parse_byte_size(std::string_view text);

}  // namespace namewall
