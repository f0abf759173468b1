#include "policy/endpoint_host.h"

#include <algorithm>
#include <charconv>

#include "policy/escape.h"

namespace namewall {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::uint8_t kMappedBits = 96;

bool has_only(std::string_view text, std::string_view accepted) {
  return !text.empty() && text.find_first_not_of(accepted) == std::string_view::npos;
}

// A last label that is a number, decimal or 0x hexadecimal, is what makes resolvers read a host as an IPv4 address.
bool ends_in_number(std::string_view normal) {
  const std::string_view last = normal.substr(normal.rfind('.') + 1);
  if (has_only(last, kDigits)) return true;
  return last.starts_with("0x") && last.find_first_not_of("0123456789abcdef", 2) == std::string_view::npos;
}

// "192.168.1.*": numbers and wildcards only.
bool is_range_of_addresses(std::string_view normal) {
  const auto labels = split_labels(normal);
  const auto is_number = [](std::string_view label) { return has_only(label, kDigits); };
  return std::any_of(labels.begin(), labels.end(), is_number) &&
         std::all_of(labels.begin(), labels.end(),
                     [](std::string_view label) { return has_only(label, "0123456789*"); });
}

Result<Prefix> parse_prefix(std::string_view base_text, std::string_view length_text) {
  const auto base = parse_address(base_text);
  if (!base) return fail(ErrorKind::kInvalid, quote_for_display(base_text) + " is not an address");
  const bool written_as_v4 = base_text.find(':') == std::string_view::npos;
  const unsigned longest = written_as_v4 ? 32 : 128;
  unsigned length = 0;
  const auto [end, status] = std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
  const bool is_plain = has_only(length_text, kDigits) && (length_text.size() == 1 || length_text.front() != '0');
  if (!is_plain || status != std::errc() || length > longest) {
    return fail(ErrorKind::kInvalid, quote_for_display(length_text) +
                                         " is not a prefix length; write a number from 0 to " +
                                         std::to_string(longest));
  }
  // A v4-mapped prefix is the IPv4 prefix: the kernel sends both as IPv4.
  const bool is_v4 = written_as_v4 || (base->is_v4() && length >= kMappedBits);
  if (is_v4 && !written_as_v4) length -= kMappedBits;
  const Prefix prefix(*base, static_cast<std::uint8_t>(length), is_v4);
  if (prefix.base() != *base) {
    return fail(ErrorKind::kInvalid, "the address has bits behind the prefix; the network is `" +
                                         to_string(Host(prefix)) + "`, the single address `" +
                                         to_string(Host(Prefix::of(*base))) + "`");
  }
  return prefix;
}

Result<Host> parse_bracketed(std::string_view text) {
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos) return fail(ErrorKind::kInvalid, "`[` is not followed by `]`");
  const std::string_view inside = text.substr(1, close - 1);
  const std::string_view behind = text.substr(close + 1);
  const auto address = parse_address(inside);
  if (!address || inside.find(':') == std::string_view::npos) {
    return fail(ErrorKind::kInvalid,
                "brackets hold an IPv6 address, as in `[2001:db8::1]` or `[2001:db8::]/32`, found " +
                    quote_for_display(inside));
  }
  if (behind.empty()) return Host(Prefix::of(*address));
  if (!behind.starts_with('/')) {
    return fail(ErrorKind::kInvalid, "behind `]` stand ports or a prefix length, found " + quote_for_display(behind));
  }
  const auto prefix = parse_prefix(inside, behind.substr(1));
  if (!prefix) return tl::unexpected(prefix.error());
  return Host(*prefix);
}

Result<Host> parse_name(std::string_view text) {
  auto pattern = NamePattern::parse(text);
  if (!pattern) return tl::unexpected(pattern.error());
  // Judged in normal form: full-width digits and letters are folded by now.
  const std::string& normal = pattern->text();
  if (is_range_of_addresses(normal) && !pattern->is_exact()) {
    return fail(ErrorKind::kInvalid, "an address has no wildcards; write a prefix, as in `192.168.1.0/24`");
  }
  if (ends_in_number(normal)) {
    return fail(
        ErrorKind::kInvalid,
        "a host that ends in a number is an IPv4 address, and that is written as four decimal numbers from 0 to "
        "255, as in `192.0.2.1`; octal, hexadecimal and short forms are refused");
  }
  if (normal == "localhost" || normal.ends_with(".localhost")) {
    return fail(
        ErrorKind::kInvalid,
        "`localhost` is no name that DNS answers; whether the workload may use its loopback is said by `loopback`");
  }
  return Host(std::move(*pattern));
}

}  // namespace

bool is_written_as_address(std::string_view text) {
  if (text.starts_with('[')) return true;
  if (has_only(text, "0123456789.")) return true;
  return text.find(':') != std::string_view::npos && parse_address(text).has_value();
}

Result<Host> parse_host(std::string_view text, std::string_view authority) {
  if (text == "*") return Host(AnyHost{});
  if (text.starts_with('[')) return parse_bracketed(text);
  const std::string_view without_length = authority.substr(0, authority.find('/'));
  if (without_length.find(':') != std::string_view::npos && parse_address(without_length)) {
    return fail(ErrorKind::kInvalid,
                "an IPv6 address stands in brackets, as in `[2001:db8::1]:443` or `[2001:db8::]/32`");
  }
  if (text.empty()) return fail(ErrorKind::kInvalid, "no host stands before the ports");
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    const auto prefix = parse_prefix(text.substr(0, slash), text.substr(slash + 1));
    if (!prefix) return tl::unexpected(prefix.error());
    return Host(*prefix);
  }
  if (const auto address = parse_address(text)) return Host(Prefix::of(*address));
  return parse_name(text);
}

std::string to_string(const Host& host) {
  if (const auto* pattern = std::get_if<NamePattern>(&host)) return pattern->text();
  if (const auto* prefix = std::get_if<Prefix>(&host)) {
    if (prefix->is_v4()) return prefix->to_string();
    const std::string length = prefix->is_single() ? "" : "/" + std::to_string(prefix->length());
    return "[" + prefix->base().to_string() + "]" + length;
  }
  return "*";
}

}  // namespace namewall
