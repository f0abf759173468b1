#include "policy/wide_rules.h"

#include <algorithm>

#include "policy/overlap_words.h"
#include "policy/pattern_cover.h"
#include "policy/private_names.h"

namespace namewall {
namespace {

constexpr unsigned kWideIpv4 = 8, kWideIpv6 = 16;  // shorter prefixes are nobody's own network

std::string describe_name(const NamePattern& pattern, const Rule& rule, const OverlapInput& input) {
  if (!pattern.is_exact()) {
    const std::string suffix(pattern.literal_suffix());
    if (suffix.empty()) return "the last label is a wildcard: names of every top-level domain match";
    const bool is_public = input.is_public_suffix && input.is_public_suffix(suffix);
    if (is_public && !has_only_private_answers(pattern)) {
      return "`" + suffix + "` is a public suffix: below it everybody can have a name";
    }
  }
  const auto may_be_private = [&](const Rule& named) { return covers(named.endpoint.host, rule.endpoint.host); };
  const bool is_opened = rule.endpoint.permits_private ||
                         std::any_of(input.host.private_names.begin(), input.host.private_names.end(), may_be_private);
  if (!is_opened && has_only_private_answers(pattern)) {
    return "such names have private addresses, and private answers open nothing without `?private`";
  }
  return "";
}

}  // namespace

std::string describe_surprise(const Rule& rule, const OverlapInput& input) {
  if (const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host)) return describe_name(*pattern, rule, input);
  const bool is_any = std::holds_alternative<AnyHost>(rule.endpoint.host);
  const auto* prefix = std::get_if<Prefix>(&rule.endpoint.host);
  if (!is_any && prefix->length() >= (prefix->is_v4() ? kWideIpv4 : kWideIpv6)) return "";
  const std::string ports = port_words(rule.endpoint.ports, rule.endpoint.ports);
  if (is_any) return "every name and every address is allowed on " + ports + ": other rules decide nothing there";
  return std::string("so wide a range of addresses holds much of the ") + (prefix->is_v4() ? "IPv4" : "IPv6") +
         " internet: names decide little on " + ports;
}

}  // namespace namewall
