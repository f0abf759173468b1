#include "agent/control/request_target.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxName = 128;

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

Result<std::string> decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char byte = text[i];
    if (byte == '%') {
      const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
      const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
      if (!high || !low) {
        return fail(ErrorKind::kInvalid, "`%` in " + quote_for_display(text) + " is not followed by two hex digits");
      }
      byte = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) {
      return fail(ErrorKind::kInvalid, quote_for_display(text) + " holds a control character");
    }
    decoded += byte;
  }
  return decoded;
}

// Calls `take` with each piece between `separator`s.
template <typename Take>
Result<void> for_each_piece(std::string_view text, char separator, Take take) {
  while (true) {
    const std::size_t end = text.find(separator);
    if (const Result<void> taken = take(text.substr(0, end)); !taken) return taken;
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<RequestTarget> parse_request_target(std::string_view target) {
  if (!target.starts_with('/')) {
    return fail(ErrorKind::kInvalid, "the request names " + quote_for_display(target.substr(0, 80)) + ", not a path");
  }
  RequestTarget parsed;
  const std::size_t question = target.find('?');
  const Result<void> path = for_each_piece(target.substr(1, question - 1), '/', [&](std::string_view piece) {
    Result<std::string> segment = decode(piece);
    if (!segment) return Result<void>(tl::unexpected(segment.error()));
    parsed.segments.push_back(std::move(*segment));
    return Result<void>();
  });
  if (!path) return tl::unexpected(path.error());
  if (question == std::string_view::npos || question + 1 == target.size()) return parsed;

  const Result<void> query = for_each_piece(target.substr(question + 1), '&', [&](std::string_view piece) {
    const std::size_t equals = piece.find('=');
    Result<std::string> key = decode(piece.substr(0, equals));
    if (!key) return Result<void>(tl::unexpected(key.error()));
    Result<std::string> value = decode(equals == std::string_view::npos ? "" : piece.substr(equals + 1));
    if (!value) return Result<void>(tl::unexpected(value.error()));
    if (!parsed.query.emplace(*key, std::move(*value)).second) {
      return Result<void>(fail(ErrorKind::kInvalid, "the query says " + quote_for_display(*key) + " twice"));
    }
    return Result<void>();
  });
  if (!query) return tl::unexpected(query.error());
  return parsed;
}

bool is_workload_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  const bool is_plain = std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._:@/-").find(c) != std::string_view::npos;
  });
  return is_plain && for_each_piece(name, '/', [](std::string_view piece) -> Result<void> {
                       if (piece.empty() || piece == "." || piece == "..") return fail(ErrorKind::kInvalid, "");
                       return {};
                     }).has_value();
}

}  // namespace namewall::agent
