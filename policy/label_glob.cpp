#include "policy/label_glob.h"

#include <cstddef>

namespace namewall {

bool label_glob_matches(std::string_view pattern, std::string_view label) {
  std::size_t p = 0;
  std::size_t at = 0;
  std::size_t last_star = std::string_view::npos;
  std::size_t star_ends_at = 0;  // the last star stands for label characters up to here
  while (at < label.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      last_star = p++;
      star_ends_at = at;
    } else if (p < pattern.size() && pattern[p] == label[at]) {
      ++p;
      ++at;
    } else if (last_star != std::string_view::npos) {
      p = last_star + 1;
      at = ++star_ends_at;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace namewall
