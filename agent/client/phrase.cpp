#include "agent/client/phrase.h"

#include <cmath>
#include <cstdio>

namespace namewall::agent {
namespace {

std::string with_unit(double amount, const char* unit) {
  if (amount >= 9.95 || std::fabs(amount - std::round(amount)) < 0.05)
    return std::to_string(std::llrint(amount)) + unit;
  char text[48];
  std::snprintf(text, sizeof text, "%.1f%s", amount, unit);
  return text;
}

}  // namespace

std::string phrase_seconds(double seconds) {
  if (seconds < 120) return with_unit(seconds, " s");
  if (seconds < 120 * 60) return with_unit(std::floor(seconds / 60), " min");
  if (seconds < 48 * 3600) return with_unit(std::floor(seconds / 3600), " h");
  return with_unit(std::floor(seconds / 86400), " d");
}

std::string phrase_ms(double milliseconds) {
  return milliseconds < 1000 ? with_unit(milliseconds, " ms") : phrase_seconds(milliseconds / 1000);
}

std::string phrase_count(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string phrase_amount(std::uint64_t amount) {
  if (amount < 10'000) return std::to_string(amount);
  const double value = static_cast<double>(amount);
  if (amount < 1'000'000) return with_unit(value / 1e3, "k");
  if (amount < 1'000'000'000) return with_unit(value / 1e6, "M");
  return with_unit(value / 1e9, "G");
}

std::string phrase_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string clock_of(std::string_view rfc3339) {
  const std::size_t begin = rfc3339.find('T');
  if (begin == std::string_view::npos || rfc3339.size() < begin + 9) return std::string(rfc3339);
  return std::string(rfc3339.substr(begin + 1, 8));
}

}  // namespace namewall::agent
