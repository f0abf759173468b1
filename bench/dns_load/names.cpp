#include "bench/dns_load/names.h"

#include <unistd.h>

#include <charconv>

#include "bench/worker/dns_wire.h"

namespace namewall::bench {
namespace {

constexpr std::size_t kMostFixed = 1'000'000;

// Spreads consecutive numbers over all of 64 bits, one to one (the finalizer of splitmix64).
std::uint64_t spread(std::uint64_t number) {
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

}  // namespace

Result<Names> Names::parse(std::string_view text) {
  Names names;
  if (text.starts_with("fresh:")) {
    names.suffix_ = text.substr(6);
    return names;
  }
  const std::size_t colon = text.find(':', 6);
  std::size_t count = 0;
  if (!text.starts_with("fixed:") || colon == std::string_view::npos ||
      std::from_chars(text.data() + 6, text.data() + colon, count).ptr != text.data() + colon || count == 0 ||
      count > kMostFixed)
    return fail(ErrorKind::kInvalid, "names are fresh:SUFFIX or fixed:COUNT:SUFFIX, not " + std::string(text));
  for (std::size_t i = 0; i < count; ++i)
    names.fixed_.push_back(build_question(0, "n" + std::to_string(i) + "." + std::string(text.substr(colon + 1))));
  return names;
}

const std::vector<std::uint8_t>& Names::next_question(std::uint16_t id) {
  const std::uint64_t number = ++count_;
  if (fixed_.empty()) {
    fresh_ = build_question(id, std::to_string(getpid()) + "-" + std::to_string(number) + "." + suffix_);
    return fresh_;
  }
  std::vector<std::uint8_t>& question = fixed_[spread(number) % fixed_.size()];
  question[0] = static_cast<std::uint8_t>(id >> 8);
  question[1] = static_cast<std::uint8_t>(id);
  return question;
}

}  // namespace namewall::bench
