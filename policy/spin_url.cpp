#include "policy/spin_url.h"

#include <algorithm>

#include "policy/domain_name.h"

namespace namewall {
namespace {

constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The schemes whose hosts are domains and whose slashes may lean either way, with the port that is left out.
struct SpecialScheme {
  std::string_view name;
  std::uint16_t port;
};
constexpr SpecialScheme kSpecialSchemes[] = {{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}, {"ftp", 21}};

const SpecialScheme* find_special(std::string_view scheme) {
  const auto* found = std::find_if(std::begin(kSpecialSchemes), std::end(kSpecialSchemes),
                                   [&](const SpecialScheme& special) { return special.name == scheme; });
  return found == std::end(kSpecialSchemes) ? nullptr : found;
}

std::string cleaned(std::string_view text) {
  const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  std::string result(text);
  std::erase_if(result, [](char c) { return c == '\t' || c == '\n' || c == '\r'; });
  return result;
}

// Takes "scheme:" off; nullopt where the text does not begin so.
std::optional<std::string> take_scheme(std::string_view& text) {
  if (text.empty() || !is_letter(text.front())) return std::nullopt;
  const auto is_part = [](char c) { return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.'; };
  std::size_t end = 0;
  while (end < text.size() && is_part(text[end])) ++end;
  if (end == text.size() || text[end] != ':') return std::nullopt;
  std::string scheme = fold_ascii_case(text.substr(0, end));
  text.remove_prefix(end + 1);
  return scheme;
}

// False: it is no port. The port stays unset where no digit stands there.
bool read_port(std::string_view digits, std::optional<std::uint16_t>& port) {
  std::uint32_t value = 0;
  for (const char c : digits) {
    if (!is_digit(c)) return false;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
    if (value > 0xffff) return false;
  }
  if (!digits.empty()) port = static_cast<std::uint16_t>(value);
  return true;
}

// Where the host ends: the first colon outside of brackets.
std::size_t end_of_host(std::string_view authority) {
  bool is_bracketed = false;
  for (std::size_t at = 0; at < authority.size(); ++at) {
    if (authority[at] == ':' && !is_bracketed) return at;
    if (authority[at] == '[') is_bracketed = true;
    if (authority[at] == ']') is_bracketed = false;
  }
  return authority.size();
}

// Of schemes that browsers do not know. False: no URL.
bool read_opaque_host(std::string_view text, SpinUrl& url) {
  if (text.starts_with('[')) {
    const Result<SpinHost> host = parse_spin_host(text);
    if (host) url.host = *host;
    return host.has_value();
  }
  if (text.find_first_of(std::string_view("\0 #/:<>?@[\\]^|", 14)) != std::string_view::npos) return false;
  if (text.empty()) return true;
  const Result<SpinHost> host = parse_spin_host(text);
  url.is_host_readable = host.has_value();
  url.host = host ? *host : SpinHost(std::string(text));
  return true;
}

bool read_host(std::string_view text, bool is_special, SpinUrl& url) {
  if (!is_special) return read_opaque_host(text, url);
  Result<SpinHost> host = parse_spin_host(text);
  if (!host) return false;
  url.host = *std::move(host);
  return true;
}

bool has_more_than_a_slash(std::string_view rest) {
  const std::string_view path = rest.substr(0, std::min(rest.find_first_of("?#"), rest.size()));
  return path.size() > 1;
}

bool read_authority(std::string_view text, const SpecialScheme* special, SpinUrl& url) {
  const std::size_t end = std::min(text.find_first_of(special != nullptr ? "/\\?#" : "/?#"), text.size());
  std::string_view authority = text.substr(0, end);
  url.has_path = has_more_than_a_slash(text.substr(end));
  const std::size_t at = authority.rfind('@');
  const bool has_user = at != std::string_view::npos;
  if (has_user) authority.remove_prefix(at + 1);
  const std::size_t colon = end_of_host(authority);
  const std::string_view host = authority.substr(0, colon);
  const bool has_colon = colon < authority.size();
  if (host.empty() && (special != nullptr || has_user || has_colon)) return false;
  if (!read_host(host, special != nullptr, url)) return false;
  std::string_view port = has_colon ? authority.substr(colon + 1) : std::string_view();
  port = port.substr(0, port.find('\\'));
  if (!read_port(port, url.port)) return false;
  if (special != nullptr && url.port == special->port) url.port.reset();
  return true;
}

// "file://host/path": no user, no port, and localhost is no host.
bool read_file_host(std::string_view text, SpinUrl& url) {
  const auto is_slash = [](char c) { return c == '/' || c == '\\'; };
  if (text.size() < 2 || !is_slash(text[0]) || !is_slash(text[1])) return true;
  text.remove_prefix(2);
  const std::string_view name = text.substr(0, std::min(text.find_first_of("/\\?#"), text.size()));
  const bool is_drive = name.size() == 2 && is_letter(name[0]) && (name[1] == ':' || name[1] == '|');
  if (name.empty() || is_drive) return true;
  Result<SpinHost> host = parse_spin_host(name);
  if (!host) return false;
  if (*host != SpinHost(std::string("localhost"))) url.host = *std::move(host);
  return true;
}

// Letters, digits and "-_.~" stay, everything else becomes %XX.
std::string encoded(std::string_view text) {
  constexpr std::string_view kHexadecimal = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_letter(c) || is_digit(c) || std::string_view("-_.~").find(c) != std::string_view::npos) {
      result += c;
    } else {
      result += {'%', kHexadecimal[byte >> 4], kHexadecimal[byte & 15]};
    }
  }
  return result;
}

}  // namespace

std::optional<SpinUrl> parse_spin_url(std::string_view text) {
  const std::string whole = cleaned(text);
  std::string_view rest = whole;
  const std::optional<std::string> scheme = take_scheme(rest);
  if (!scheme) return std::nullopt;
  SpinUrl url;
  url.scheme = *scheme;
  bool is_url = true;
  if (const SpecialScheme* special = find_special(url.scheme)) {
    rest.remove_prefix(std::min(rest.find_first_not_of("/\\"), rest.size()));
    is_url = read_authority(rest, special, url);
  } else if (url.scheme == "file") {
    is_url = read_file_host(rest, url);
  } else if (rest.starts_with("//")) {
    is_url = read_authority(rest.substr(2), nullptr, url);
  }
  if (!is_url) return std::nullopt;
  return url;
}

std::optional<SpinUrl> parse_spin_target(std::string_view text, std::string_view default_scheme) {
  std::string whole(text);
  if (const std::size_t at = whole.find('@'); at != std::string::npos) {
    const std::size_t separator = whole.find("://");
    const std::size_t begin = separator == std::string::npos ? 0 : separator + 3;
    if (at < begin) return std::nullopt;
    if (at < whole.find('/', begin)) {
      whole = whole.substr(0, begin) + encoded(std::string_view(whole).substr(begin, at - begin)) + whole.substr(at);
    }
  }
  std::optional<SpinUrl> url = parse_spin_url(whole);
  if (!url || !url->host) url = parse_spin_url(std::string(default_scheme) + "://" + whole);
  if (!url || !url->host) return std::nullopt;
  return url;
}

}  // namespace namewall
