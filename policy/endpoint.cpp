#include "policy/endpoint.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "policy/endpoint_host.h"
#include "policy/escape.h"
#include "policy/scheme.h"

namespace namewall {
namespace {

constexpr std::string_view kSchemeEnd = "://";
constexpr std::string_view kPrivate = "private", kResolvedByAgent = "resolve=agent";
constexpr std::array<Protocol, 1> kTcp = {Protocol::kTcp};

// The pieces between the separators, as written.
struct Pieces {
  std::optional<std::string_view> scheme;
  std::string_view authority;             // host[:ports]
  std::string_view host;                  // with the brackets of an IPv6 address, and the length of a CIDR
  std::optional<std::string_view> ports;  // without the colon
  std::string_view tail;                  // from the first '/', '?' or '#' behind the authority
};

bool is_scheme_character(char c) {
  return c == '*' || c == '+' || c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z');
}

// Where the slash of a CIDR ends the search for a path: behind an address, before a digit.
std::size_t end_of_authority(std::string_view rest) {
  std::size_t from = 0;
  if (rest.starts_with('[')) from = std::min(rest.find(']'), rest.size());
  const std::size_t end = rest.find_first_of("/?#", from);
  if (end == std::string_view::npos) return rest.size();
  const bool is_length = rest[end] == '/' && end + 1 < rest.size() && rest[end + 1] >= '0' && rest[end + 1] <= '9' &&
                         is_written_as_address(rest.substr(0, end));
  return is_length ? std::min(rest.find_first_of("/?#", end + 1), rest.size()) : end;
}

Pieces split(std::string_view text) {
  Pieces pieces;
  std::string_view rest = text;
  const std::size_t scheme_end = text.find(kSchemeEnd);
  if (scheme_end != std::string_view::npos) {
    const std::string_view scheme = text.substr(0, scheme_end);
    if (std::all_of(scheme.begin(), scheme.end(), is_scheme_character)) {
      pieces.scheme = scheme;
      rest.remove_prefix(scheme_end + kSchemeEnd.size());
    }
  }
  const std::size_t end = end_of_authority(rest);
  pieces.authority = rest.substr(0, end);
  pieces.tail = rest.substr(end);
  const std::size_t brackets = pieces.authority.starts_with('[') ? pieces.authority.find(']') : 0;
  const std::size_t colon = pieces.authority.find(':', std::min(brackets, pieces.authority.size()));
  pieces.host = pieces.authority.substr(0, colon);
  if (colon != std::string_view::npos) pieces.ports = pieces.authority.substr(colon + 1);
  return pieces;
}

// How the endpoint reads without what does not belong to it.
std::string rewritten(const Pieces& pieces, std::string_view authority) {
  const std::string scheme = pieces.scheme ? std::string(*pieces.scheme) + std::string(kSchemeEnd) : "";
  return scheme + escape_for_display(authority);
}

// What stands behind '?', between '&'.
std::vector<std::string_view> options_of(std::string_view tail) {
  std::vector<std::string_view> options;
  while (!tail.empty()) {
    tail.remove_prefix(1);  // '?' or '&'
    const std::size_t end = std::min(tail.find('&'), tail.size());
    options.push_back(tail.substr(0, end));
    tail.remove_prefix(end);
  }
  return options;
}

bool has_option(const Pieces& pieces, std::string_view option) {
  const std::vector<std::string_view> options = options_of(pieces.tail);
  return std::find(options.begin(), options.end(), option) != options.end();
}

std::optional<std::string> mistake_in_options(std::string_view tail) {
  const std::vector<std::string_view> options = options_of(tail);
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (options[i] != kPrivate && options[i] != kResolvedByAgent) {
      return "behind `?` only `private` and `resolve=agent` are accepted, joined by `&`, found " +
             quote_for_display(options[i]);
    }
    const auto so_far = options.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(options.begin(), so_far, options[i]) != so_far) {
      return "`" + std::string(options[i]) + "` is written twice";
    }
  }
  return std::nullopt;
}

// The mistakes that a URL, a lone wildcard or a stray character makes; nullopt when there is none.
std::optional<std::string> mistake_in_shape(std::string_view text, const Pieces& pieces, EndpointUse use) {
  if (text.empty()) return "an empty endpoint opens nothing; write a host, as in `example.com`";
  const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_blank)) return "an endpoint has no spaces or control characters";
  if (pieces.authority.empty()) return "no host is named; write one, as in `example.com`";
  if (const std::size_t at = pieces.authority.rfind('@'); at != std::string_view::npos) {
    return "user names and passwords are no part of an endpoint, write " +
           rewritten(pieces, pieces.authority.substr(at + 1));
  }
  if (pieces.tail.starts_with('/') || pieces.tail.starts_with('#')) {
    return "paths cannot be enforced, write " + rewritten(pieces, pieces.authority);
  }
  if (const auto mistake = mistake_in_options(pieces.tail)) return mistake;
  if (pieces.host == "*" && !pieces.scheme) {
    return use == EndpointUse::kAllow
               ? "a lone `*` is every host on the Internet; if that is meant, write scheme and ports, as in "
                 "`tcp://*:443`"
               : "a lone `*` is every host on the Internet; if that is meant, write scheme and ports, as in `*://*:*`";
  }
  const bool lacks_slashes = !pieces.scheme && pieces.ports && !pieces.ports->empty() &&
                             pieces.ports->find_first_not_of("0123456789,-*") != std::string_view::npos &&
                             find_scheme(pieces.host).has_value();
  if (lacks_slashes) {
    return "a scheme is followed by `://`, write " + escape_for_display(pieces.host) + "://" +
           escape_for_display(*pieces.ports);
  }
  return std::nullopt;
}

Result<PortSet> ports_of(const Pieces& pieces, EndpointUse use) {
  if (!pieces.scheme) {
    if (pieces.ports) return parse_ports(*pieces.ports, kTcp);
    return use == EndpointUse::kDeny ? PortSet::all() : PortSet({{Protocol::kTcp, Port{443}, Port{443}}});
  }
  const auto scheme = find_scheme(*pieces.scheme);
  if (!scheme) return tl::unexpected(scheme.error());
  const std::string as_written = rewritten(pieces, pieces.host);
  if (!scheme->takes_ports()) {
    if (pieces.ports) return fail(ErrorKind::kInvalid, "icmp takes no port (it is echo, ping), write " + as_written);
    return PortSet({{Protocol::kIcmp, Port{}, Port{}}});
  }
  if (pieces.ports) return parse_ports(*pieces.ports, scheme->protocols);
  if (!scheme->default_port) {
    return fail(ErrorKind::kInvalid, "the scheme `" + std::string(scheme->name) + "` has no port of its own; write `" +
                                         as_written + ":443`, or `" + as_written + ":*` for every port");
  }
  std::vector<PortRange> ranges;
  for (const Protocol protocol : scheme->protocols) {
    ranges.push_back({protocol, *scheme->default_port, *scheme->default_port});
  }
  return PortSet(std::move(ranges));
}

std::optional<std::string> mistake_in_private(const Host& host, EndpointUse use) {
  if (use == EndpointUse::kDeny) return "`?private` belongs to names in `allow`; a denial needs no such permission";
  if (std::holds_alternative<NamePattern>(host)) return std::nullopt;
  return std::holds_alternative<AnyHost>(host)
             ? "`?private` belongs to a name: write which names may have private addresses"
             : "`?private` belongs to names; an address rule opens a private address by itself";
}

std::optional<std::string> mistake_in_agent(const Host& host, EndpointUse use) {
  if (use == EndpointUse::kDeny) return "`?resolve=agent` belongs to names in `allow`; what is denied is not looked up";
  const auto* pattern = std::get_if<NamePattern>(&host);
  if (pattern == nullptr) return "`?resolve=agent` belongs to a name: there is nothing to look up";
  if (pattern->is_exact()) return std::nullopt;
  return "`?resolve=agent` belongs to one exact name: nobody can look up every name of a pattern ahead";
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text, EndpointUse use) {
  const auto refuse = [text](const std::string& why) {
    const std::string quoted = quote_for_display(text);
    const bool names_it = text.empty() || why.starts_with(quoted + ":");
    return fail(ErrorKind::kInvalid, names_it ? why : quoted + ": " + why);
  };
  const Pieces pieces = split(text);
  if (const auto mistake = mistake_in_shape(text, pieces, use)) return refuse(*mistake);
  // The host first: "::1" is better called an address without brackets than a bad port.
  auto host = parse_host(pieces.host, pieces.authority);
  if (!host) return refuse(host.error().what);
  auto ports = ports_of(pieces, use);
  if (!ports) return refuse(ports.error().what);
  const bool permits_private = has_option(pieces, kPrivate);
  if (permits_private) {
    if (const auto mistake = mistake_in_private(*host, use)) return refuse(*mistake);
  }
  const bool by_agent = has_option(pieces, kResolvedByAgent);
  if (by_agent) {
    if (const auto mistake = mistake_in_agent(*host, use)) return refuse(*mistake);
  }
  return Endpoint{std::move(*host), std::move(*ports), permits_private, std::string(text), by_agent};
}

std::string to_canonical_string(const Endpoint& endpoint) {
  const std::string host = to_string(endpoint.host);
  const std::string tcp = endpoint.ports.list_of(Protocol::kTcp);
  const std::string udp = endpoint.ports.list_of(Protocol::kUdp);
  const bool has_echo = endpoint.ports.contains(Protocol::kIcmp, Port{});
  std::string text;
  if (endpoint.ports == PortSet::all()) {
    text = host;
  } else if (has_echo) {
    text = "icmp://" + host;
  } else if (tcp == udp) {
    text = "*://" + host + ":" + tcp;
  } else {
    text = udp.empty() ? "tcp://" + host + ":" + tcp : "udp://" + host + ":" + udp;
  }
  if (endpoint.permits_private) text += "?" + std::string(kPrivate);
  if (endpoint.resolved_by_agent) text += (endpoint.permits_private ? "&" : "?") + std::string(kResolvedByAgent);
  return text;
}

}  // namespace namewall
