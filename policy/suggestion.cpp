#include "policy/suggestion.h"

#include <algorithm>
#include <string>
#include <vector>

#include "policy/domain_name.h"

namespace namewall {
namespace {

constexpr std::size_t kLongestWord = 64;

// Optimal string alignment: a swap of neighbours is one step.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> steps(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        steps[i][j] = i + j;
        continue;
      }
      const std::size_t changed = a[i - 1] == b[j - 1] ? 0 : 1;
      steps[i][j] = std::min({steps[i - 1][j] + 1, steps[i][j - 1] + 1, steps[i - 1][j - 1] + changed});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) steps[i][j] = std::min(steps[i][j], steps[i - 2][j - 2] + 1);
    }
  }
  return steps[a.size()][b.size()];
}

}  // namespace

std::optional<std::string_view> suggest(std::string_view found, std::span<const std::string_view> accepted) {
  if (found.empty() || found.size() > kLongestWord) return std::nullopt;
  const std::string folded = fold_ascii_case(found);
  std::optional<std::string_view> nearest;
  std::size_t fewest = (found.size() <= 4 ? 1 : 2) + 1;
  for (const std::string_view word : accepted) {
    const std::size_t distance = edit_distance(folded, fold_ascii_case(word));
    if (distance < fewest && distance < word.size()) {
      fewest = distance;
      nearest = word;
    }
  }
  return nearest;
}

}  // namespace namewall
