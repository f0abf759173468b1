#include "tests/replay/script_words.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace namewall::testing {

Words split_words(const std::string& line) {
  std::istringstream stream(line.substr(0, line.find('#')));
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<BootTime> parse_time(const std::string& text) {
  const std::size_t unit_at = text.find_first_not_of("0123456789");
  const std::optional<std::uint32_t> number = parse_number(text.substr(0, unit_at));
  if (!number || unit_at == std::string::npos) return std::nullopt;
  const std::string unit = text.substr(unit_at);
  if (unit == "ms") return BootTime{std::chrono::milliseconds(*number)};
  if (unit == "s") return BootTime{std::chrono::seconds(*number)};
  if (unit == "m") return BootTime{std::chrono::minutes(*number)};
  if (unit == "h") return BootTime{std::chrono::hours(*number)};
  return std::nullopt;
}

std::string run_lines(const std::string& file_name, const std::string& text, const Words& blocks,
                      const std::function<std::string(const Words& words, const std::string& block)>& run_line) {
  std::istringstream lines(text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = ++number;
    const Words words = split_words(line);
    if (words.empty()) continue;
    std::string block;
    if (std::find(blocks.begin(), blocks.end(), words[0]) != blocks.end()) {
      while (std::getline(lines, line) && line != "end") {
        ++number;
        block += line + "\n";
      }
      ++number;
    }
    if (const std::string failure = run_line(words, block); !failure.empty()) {
      return file_name + ":" + std::to_string(at) + ": " + failure;
    }
  }
  return "";
}

}  // namespace namewall::testing
