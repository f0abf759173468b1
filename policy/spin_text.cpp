#include "policy/spin_text.h"

#include <algorithm>
#include <array>

namespace namewall {
namespace {

// The White_Space property beside ASCII, as UTF-8.
constexpr std::string_view kWideSpaces[] = {
    "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83",
    "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a",
    "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};

constexpr bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::size_t leading_space(std::string_view text) {
  if (text.empty()) return 0;
  if (is_ascii_space(text.front())) return 1;
  for (const std::string_view space : kWideSpaces) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

std::size_t trailing_space(std::string_view text) {
  if (text.empty()) return 0;
  if (is_ascii_space(text.back())) return 1;
  for (const std::string_view space : kWideSpaces) {
    if (text.ends_with(space)) return space.size();
  }
  return 0;
}

constexpr int hexadecimal_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct Block {
  std::uint32_t first, last;
};

// What is no letter beyond ASCII: signs, accents, digits of other scripts, punctuation, symbols, private use. All other
// characters count as letters; an entry with one can match nothing, whatever its scheme is taken for.
constexpr std::array<Block, 36> kNoLetters = {{
    {0x80, 0xa9},     {0xab, 0xb4},     {0xb6, 0xb9},     {0xbb, 0xbf},     {0xd7, 0xd7},     {0xf7, 0xf7},
    {0x2c2, 0x2c5},   {0x2d2, 0x2df},   {0x2e5, 0x2eb},   {0x2ed, 0x2ed},   {0x2ef, 0x344},   {0x346, 0x362},
    {0x375, 0x375},   {0x37e, 0x37e},   {0x384, 0x385},   {0x387, 0x387},   {0x3f6, 0x3f6},   {0x482, 0x489},
    {0x55a, 0x55f},   {0x589, 0x5af},   {0x600, 0x60f},   {0x61b, 0x61f},   {0x660, 0x66d},   {0x6f0, 0x6f9},
    {0x964, 0x970},   {0x2000, 0x2070}, {0x2072, 0x207e}, {0x2080, 0x208f}, {0x20a0, 0x2101}, {0x2190, 0x24b5},
    {0x24ea, 0x2bff}, {0x3000, 0x3004}, {0xe000, 0xf8ff}, {0xfe10, 0xfe6f}, {0xff01, 0xff20}, {0x1f000, 0x1faff},
}};

bool is_letter(std::uint32_t character) {
  if (character < 0x80) return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
  return std::none_of(kNoLetters.begin(), kNoLetters.end(),
                      [character](const Block& block) { return character >= block.first && character <= block.last; });
}

}  // namespace

std::string_view trim_spin_text(std::string_view text) {
  for (std::size_t size = 0; (size = leading_space(text)) != 0;) text.remove_prefix(size);
  for (std::size_t size = 0; (size = trailing_space(text)) != 0;) text.remove_suffix(size);
  return text;
}

std::optional<std::uint32_t> parse_spin_number(std::string_view text, std::uint32_t max) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
    if (value > max) return std::nullopt;
  }
  return static_cast<std::uint32_t>(value);
}

bool is_spin_alphabetic(std::string_view utf8) {
  for (std::size_t at = 0; at < utf8.size();) {
    const auto first = static_cast<unsigned char>(utf8[at]);
    const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first >= 0x80 && first < 0xc0) return false;
    if (at + size > utf8.size()) return false;
    std::uint32_t character = size == 1 ? first : first & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
      character = character << 6 | (static_cast<unsigned char>(utf8[at + i]) & 0x3fU);
    }
    if (!is_letter(character)) return false;
    at += size;
  }
  return true;
}

std::string decode_percent(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = at + 2 < text.size() && text[at] == '%' ? hexadecimal_value(text[at + 1]) : -1;
    const int low = high >= 0 ? hexadecimal_value(text[at + 2]) : -1;
    if (low >= 0) {
      decoded += static_cast<char>(high << 4 | low);
      at += 2;
    } else {
      decoded += text[at];
    }
  }
  return decoded;
}

}  // namespace namewall
