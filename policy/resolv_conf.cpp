#include "policy/resolv_conf.h"

#include <algorithm>
#include <charconv>

namespace namewall {
namespace {

constexpr std::size_t kMaxNameservers = 3;  // MAXNS of <resolv.h>
constexpr std::uint32_t kMaxNdots = 15;     // RES_MAXNDOTS of glibc's resolv/resolv-internal.h
constexpr std::string_view kBlanks = " \t";

// The next blank-separated word, taken off the front of `rest`; empty at the end.
std::string_view take_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  const std::string_view word = rest.substr(0, rest.find_first_of(kBlanks));
  rest.remove_prefix(word.size());
  return word;
}

// What stands behind `keyword`, which begins the line and is followed by a blank; nullopt: another line.
std::optional<std::string_view> values_of(std::string_view line, std::string_view keyword) {
  if (!line.starts_with(keyword)) return std::nullopt;
  line.remove_prefix(keyword.size());
  if (line.empty() || kBlanks.find(line.front()) == std::string_view::npos) return std::nullopt;
  return line;
}

// The zone of fe80::1%eth0 is dropped: the kernel programs compare addresses, and the address alone is what a socket
// is connected to.
std::optional<Address> parse_nameserver(std::string_view values) {
  std::string_view word = take_word(values);
  word = word.substr(0, word.find_first_of(";#"));
  const std::size_t zone = word.find('%');
  const std::optional<Address> address = parse_address(word.substr(0, zone));
  if (address && zone != std::string_view::npos && address->is_v4()) return std::nullopt;
  return address;
}

std::vector<DomainName> parse_search(std::string_view values, bool only_first) {
  std::vector<DomainName> domains;
  for (std::string_view word = take_word(values); !word.empty(); word = take_word(values)) {
    if (Result<DomainName> domain = DomainName::parse(word)) domains.push_back(*std::move(domain));
    if (only_first) break;
  }
  return domains;
}

void read_options(std::string_view values, ResolvConf& conf) {
  constexpr std::string_view kNdots = "ndots:";
  for (std::string_view word = take_word(values); !word.empty(); word = take_word(values)) {
    if (!word.starts_with(kNdots)) continue;
    std::uint32_t ndots = 0;
    const auto [end, error] = std::from_chars(word.data() + kNdots.size(), word.data() + word.size(), ndots);
    if (error == std::errc::result_out_of_range) ndots = kMaxNdots;
    if (error == std::errc::invalid_argument) ndots = 0;  // as atoi
    conf.ndots = std::min(ndots, kMaxNdots);
  }
}

std::optional<Port> parse_port(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0 || text.front() == '0') {
    return std::nullopt;
  }
  return Port{number};
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (const auto values = values_of(line, "nameserver")) {
      const std::optional<Address> address = parse_nameserver(*values);
      if (address && conf.nameservers.size() < kMaxNameservers) conf.nameservers.push_back({*address, Port{53}});
    } else if (const auto search = values_of(line, "search")) {
      if (search->find_first_not_of(kBlanks) != std::string_view::npos) conf.search = parse_search(*search, false);
    } else if (const auto domain = values_of(line, "domain")) {
      if (domain->find_first_not_of(kBlanks) != std::string_view::npos) conf.search = parse_search(*domain, true);
    } else if (const auto options = values_of(line, "options")) {
      read_options(*options, conf);
    }
  }
  if (conf.nameservers.empty()) conf.nameservers.push_back({Address::v4({127, 0, 0, 1}), Port{53}});
  return conf;
}

std::optional<ResolverAddress> parse_resolver_address(std::string_view text) {
  if (const std::optional<Address> bare = parse_address(text)) return ResolverAddress{*bare, Port{53}};
  std::string_view host;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
  } else {
    host = text.substr(0, text.find(':'));
    rest = text.substr(host.size());
    if (rest.empty()) return std::nullopt;
  }
  const std::optional<Address> address = parse_address(host);
  if (!address) return std::nullopt;
  if (rest.empty()) return ResolverAddress{*address, Port{53}};
  if (!rest.starts_with(':')) return std::nullopt;
  const std::optional<Port> port = parse_port(rest.substr(1));
  if (!port) return std::nullopt;
  return ResolverAddress{*address, *port};
}

}  // namespace namewall
