#include "agent/import_names.h"

#include <algorithm>
#include <string>
#include <variant>

#include "policy/cilium_pattern.h"
#include "policy/endpoint_host.h"
#include "policy/escape.h"
#include "policy/npep133_pattern.h"

namespace namewall::agent {
namespace {

std::string_view without_last_dot(std::string_view text) {
  return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
}

// A name for a resolver may be an address for us, or `localhost`.
Result<NamePattern> to_pattern(std::string_view text, std::string_view as_written) {
  Result<Host> host = parse_host(text, text);
  if (!host) return fail(ErrorKind::kInvalid, host.error().what);
  if (auto* pattern = std::get_if<NamePattern>(&*host)) return std::move(*pattern);
  return fail(ErrorKind::kInvalid, quote_for_display(as_written) +
                                       " is an address, and no name that DNS answers: write a rule for the address");
}

// `**.` before everything else keeps its meaning; any other run of stars means what one star means.
std::string with_native_stars(std::string_view pattern) {
  std::string out;
  const std::size_t leading = std::min(pattern.find_first_not_of('*'), pattern.size());
  if (leading >= 2 && pattern.substr(leading).starts_with('.')) {
    out = "**";
    pattern.remove_prefix(leading);
  }
  for (const char c : pattern) {
    if (c != '*' || !out.ends_with('*')) out += c;
  }
  return out;
}

}  // namespace

Result<NamePattern> native_of_cilium_name(std::string_view match_name) {
  if (const auto read = CiliumPattern::match_name(match_name); !read) return tl::unexpected(read.error());
  return to_pattern(without_last_dot(match_name), match_name);
}

Result<NamePattern> native_of_cilium_pattern(std::string_view match_pattern) {
  if (const auto read = CiliumPattern::match_pattern(match_pattern); !read) return tl::unexpected(read.error());
  const std::string_view text = without_last_dot(match_pattern);
  if (text.find_first_not_of('*') == std::string_view::npos) {
    return fail(ErrorKind::kInvalid,
                quote_for_display(match_pattern) +
                    " is every name, and nothing native is: the host `*` of `tcp://*:443` is every "
                    "address as well. Write the names, or that endpoint if it is meant");
  }
  return to_pattern(with_native_stars(text), match_pattern);
}

Result<NamePattern> native_of_npep133(std::string_view domain_name) {
  if (const auto read = Npep133Pattern::parse(domain_name); !read) return tl::unexpected(read.error());
  const std::string_view text = without_last_dot(domain_name);
  return to_pattern((text.starts_with("*.") ? "*" : "") + std::string(text), domain_name);
}

}  // namespace namewall::agent
