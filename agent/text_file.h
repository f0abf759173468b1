// Small text files, read whole.
#pragma once

#include <cstddef>
#include <string>

#include "policy/result.h"

namespace namewall::agent {

inline constexpr std::size_t kMaxTextFile = 64u << 20;

// kLimit above kMaxTextFile. Works on /proc files, whose size is reported as 0.
Result<std::string> read_text_file(const std::string& path);

}  // namespace namewall::agent
