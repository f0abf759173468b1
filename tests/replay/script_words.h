// The words of a script's line, its numbers and its times.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/boot_time.h"

namespace namewall::testing {

using Words = std::vector<std::string>;

Words split_words(const std::string& line);  // without what stands behind a '#'
std::optional<std::uint32_t> parse_number(std::string_view text);
std::optional<BootTime> parse_time(const std::string& text);  // "0s", "1500ms", "2m", "1h"

// Runs a script's lines; those that begin with a word of `blocks` have the lines up to one that is `end` as their
// block. run_line gives a line's failure, "" where it holds. The first failure: "FILE:LINE: ...".
std::string run_lines(const std::string& file_name, const std::string& text, const Words& blocks,
                      const std::function<std::string(const Words& words, const std::string& block)>& run_line);

}  // namespace namewall::testing
