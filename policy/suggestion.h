// Near misses: what a person probably meant.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace namewall {

// The accepted word nearest to `found`, if few enough letters are missing, added, changed or swapped: one in a word of
// up to four letters, two in a longer one. Case does not count. The first of equals.
std::optional<std::string_view> suggest(std::string_view found, std::span<const std::string_view> accepted);

}  // namespace namewall
