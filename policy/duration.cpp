#include "policy/duration.h"

#include <charconv>
#include <cstdint>

namespace namewall {
namespace {

struct Unit {
  std::string_view suffix;
  std::int64_t milliseconds;
};
constexpr Unit kUnits[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};

std::optional<std::size_t> index_of_unit(std::string_view suffix) {
  for (std::size_t i = 0; i < std::size(kUnits); ++i) {
    if (kUnits[i].suffix == suffix) return i;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Nanoseconds> parse_duration(std::string_view text) {
  constexpr std::int64_t kMax = std::chrono::duration_cast<std::chrono::milliseconds>(kMaxDuration).count();
  constexpr std::string_view kDigits = "0123456789";
  if (text.empty()) return std::nullopt;
  std::int64_t milliseconds = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    const std::string_view digits = text.substr(0, text.find_first_not_of(kDigits));
    text.remove_prefix(digits.size());
    const std::string_view suffix = text.substr(0, text.find_first_of(kDigits));
    text.remove_prefix(suffix.size());
    const std::optional<std::size_t> unit = index_of_unit(suffix);
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (digits.empty() || error != std::errc() || !unit || *unit < next_unit || count > kMax) return std::nullopt;
    milliseconds += count * kUnits[*unit].milliseconds;  // count <= 3.2e10, times 3.6e6: no overflow
    if (milliseconds > kMax) return std::nullopt;
    next_unit = *unit + 1;
  }
  return std::chrono::milliseconds(milliseconds);
}

std::string format_duration(Nanoseconds duration) {
  std::int64_t rest = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  std::string text;
  for (const Unit& unit : kUnits) {
    const std::int64_t count = rest / unit.milliseconds;
    rest %= unit.milliseconds;
    if (count != 0) text += std::to_string(count) + std::string(unit.suffix);
  }
  return text.empty() ? "0s" : text;
}

}  // namespace namewall
