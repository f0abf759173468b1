#include "policy/spin_host.h"

#include <algorithm>
#include <array>
#include <vector>

#include "policy/domain_name.h"
#include "policy/idna.h"
#include "policy/spin_text.h"

namespace namewall {
namespace {

// The ideographic and full-width full stops end a label, too (UTS 46).
constexpr std::string_view kWideDots[] = {"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1"};
constexpr std::string_view kForbidden = " #%/:<>?@[\\]^|\x7f";  // and control characters

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string with_plain_dots(std::string_view text) {
  std::string dotted;
  while (!text.empty()) {
    const auto* dot = std::find_if(std::begin(kWideDots), std::end(kWideDots),
                                   [&](std::string_view wide) { return text.starts_with(wide); });
    const bool is_dot = dot != std::end(kWideDots);
    dotted += is_dot ? '.' : text.front();
    text.remove_prefix(is_dot ? dot->size() : 1);
  }
  return dotted;
}

Result<std::string> domain_to_ascii(const std::string& domain) {
  const std::string dotted = is_ascii(domain) ? domain : with_plain_dots(domain);
  std::string ascii;
  for (std::size_t at = 0; at <= dotted.size();) {
    const std::size_t end = std::min(dotted.find('.', at), dotted.size());
    const std::string_view label = std::string_view(dotted).substr(at, end - at);
    const std::string folded = fold_ascii_case(label);
    if (at != 0) ascii += '.';
    if (is_ascii(label) && !folded.starts_with("xn--")) {
      ascii += folded;
    } else {
      Result<std::string> converted = idna_to_ascii(label);
      if (!converted) return converted;
      ascii += *converted;
    }
    at = end + 1;
  }
  return ascii;
}

// What one part of an IPv4 spelling says. `is_number`: false, and it is none at all.
struct Ipv4Part {
  bool is_number = false;
  std::optional<std::uint64_t> value;  // none: more than 32 bits
};

Ipv4Part parse_ipv4_part(std::string_view text) {
  if (text.empty()) return {};
  unsigned base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() >= 2 && text.front() == '0') {
    base = 8;
    text.remove_prefix(1);
  }
  std::uint64_t value = 0;
  bool is_too_large = false;
  for (const char c : text) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                                                  : 16;
    if (digit >= base) return {};
    value = value * base + digit;
    is_too_large = is_too_large || value > 0xffffffff;
    if (is_too_large) value = 0;
  }
  return {true, is_too_large ? std::nullopt : std::optional(value)};
}

std::vector<std::string_view> ipv4_parts(std::string_view domain) {
  std::vector<std::string_view> parts = split_labels(domain);
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  return parts;
}

bool ends_in_number(std::string_view domain) {
  const std::vector<std::string_view> parts = ipv4_parts(domain);
  if (parts.empty() || parts.back().empty()) return false;
  const bool is_decimal = parts.back().find_first_not_of("0123456789") == std::string_view::npos;
  return is_decimal || parse_ipv4_part(parts.back()).is_number;
}

Result<SpinHost> parse_ipv4(std::string_view domain) {
  const auto refuse = [] { return fail(ErrorKind::kInvalid, "it ends in a number and is no IPv4 address"); };
  const std::vector<std::string_view> parts = ipv4_parts(domain);
  if (parts.size() > 4) return refuse();
  std::uint64_t address = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Ipv4Part part = parse_ipv4_part(parts[i]);
    if (!part.value) return refuse();
    const bool is_last = i + 1 == parts.size();
    const std::uint64_t bound = is_last ? 0xffffffffU >> (8 * i) : 0xff;
    if (*part.value > bound) return refuse();
    address |= is_last ? *part.value : *part.value << (8 * (3 - i));
  }
  const auto byte = [address](unsigned shift) { return static_cast<std::uint8_t>(address >> shift); };
  return SpinHost(SpinAddress{Address::v4({byte(24), byte(16), byte(8), byte(0)}), true});
}

}  // namespace

Result<SpinHost> parse_spin_host(std::string_view text) {
  if (text.starts_with('[')) {
    const bool is_closed = text.size() >= 2 && text.ends_with(']');
    const auto address = is_closed ? parse_spin_address(text.substr(1, text.size() - 2)) : std::nullopt;
    if (!address || address->is_v4) return fail(ErrorKind::kInvalid, "it is no IPv6 address");
    return SpinHost(*address);
  }
  Result<std::string> domain = domain_to_ascii(decode_percent(text));
  if (!domain) return tl::unexpected(domain.error());
  if (domain->empty()) return fail(ErrorKind::kInvalid, "it is empty");
  const bool is_forbidden = std::any_of(domain->begin(), domain->end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || kForbidden.find(c) != std::string_view::npos;
  });
  if (is_forbidden) return fail(ErrorKind::kInvalid, "it has a character that no host has");
  if (ends_in_number(*domain)) return parse_ipv4(*domain);
  return SpinHost(*std::move(domain));
}

std::string to_string(const SpinHost& host) {
  if (const auto* address = std::get_if<SpinAddress>(&host)) return address->to_string();
  return std::get<std::string>(host);
}

}  // namespace namewall
