#include "policy/spin_entry.h"

#include <utility>

#include "policy/escape.h"
#include "policy/spin_text.h"

namespace namewall {
namespace {

constexpr std::uint32_t kMaxPort = 65535;

struct KnownPort {
  std::string_view scheme;
  std::uint16_t port;
};
constexpr KnownPort kKnownPorts[] = {{"postgres", 5432}, {"mysql", 3306}, {"redis", 6379},
                                     {"mqtt", 1883},     {"http", 80},    {"https", 443}};

tl::unexpected<Error> refuse(std::string why) { return fail(ErrorKind::kInvalid, std::move(why)); }

Result<SpinHosts> parse_subdomains(std::string_view suffix) {
  if (suffix.find('*') != std::string_view::npos) return refuse("a `*.` stands at the beginning of a host only");
  const Result<SpinHost> domain = parse_spin_host(suffix);
  if (!domain) return refuse("what follows `*.` is no domain: " + domain.error().what);
  if (!std::holds_alternative<std::string>(*domain)) return refuse("what follows `*.` is a domain, not an address");
  return SpinHosts(SpinSubdomains{std::get<std::string>(*domain)});
}

Result<SpinHosts> parse_hosts(std::string_view text) {
  text = trim_spin_text(text);
  if (text == "*") return SpinHosts(SpinAnyHost{});
  if (text == "self" || text == "self.alt") return SpinHosts(SpinSelf{});
  if (text.starts_with('{')) return refuse("lists of hosts are not in Spin: write an entry for each");
  if (const std::optional<SpinNetwork> network = SpinNetwork::parse(text)) return SpinHosts(*network);
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find('/') != std::string_view::npos) return refuse("an entry has no path");
  if (text.starts_with("*.")) return parse_subdomains(text.substr(2));
  if (text.find('*') != std::string_view::npos) {
    return refuse("`*` is a whole host, or the first label of one, as in `*.example.com`");
  }
  Result<SpinHost> host = parse_spin_host(text);
  if (!host) return refuse("the host " + quote_for_display(text) + " is none: " + host.error().what);
  return SpinHosts(*std::move(host));
}

Result<SpinPorts> parse_ports(std::string_view text, std::string_view scheme) {
  if (text.empty()) {
    const std::optional<std::uint16_t> port = spin_default_port(scheme);
    if (!port) {
      return refuse("Spin knows no port of the scheme " + quote_for_display(scheme) +
                    ": write one, or `*` for every port");
    }
    return SpinPorts{false, false, *port, *port + 1U};
  }
  if (text == "*") return SpinPorts{true, false, 0, kMaxPort + 1};
  if (text.starts_with('{')) return refuse("lists of ports are not in Spin: write an entry for each");
  const std::size_t dots = text.find("..");
  const auto number = [](std::string_view part) { return parse_spin_number(part, kMaxPort); };
  const auto first = number(text.substr(0, dots));
  const auto end = dots == std::string_view::npos ? first : number(text.substr(dots + 2));
  if (!first || !end) {
    return refuse("the port " + quote_for_display(text) + " is no number from 0 to 65535, no range `A..B` and no `*`");
  }
  if (dots == std::string_view::npos) return SpinPorts{false, false, *first, *first + 1};
  return SpinPorts{false, true, *first, *end};
}

}  // namespace

std::optional<std::uint16_t> spin_default_port(std::string_view scheme) {
  for (const KnownPort& known : kKnownPorts) {
    if (known.scheme == scheme) return known.port;
  }
  return std::nullopt;
}

Result<SpinPieces> split_spin_entry(std::string_view text) {
  text = trim_spin_text(text);
  const std::size_t separator = text.find("://");
  if (separator == std::string_view::npos) return refuse("it has no scheme, such as `http://` or `*://`");
  const std::string_view scheme = text.substr(0, separator);
  const std::string_view rest = text.substr(separator + 3);
  const std::size_t colon = rest.rfind(':');
  // An IPv6 host has colons of its own: without a port all of it is the host.
  if (colon == std::string_view::npos || parse_hosts(rest)) return SpinPieces{scheme, rest, ""};
  std::string_view port = rest.substr(colon + 1);
  if (const std::size_t slash = port.find('/'); slash != std::string_view::npos) {
    if (slash + 1 != port.size()) return refuse("an entry has no path");
    port.remove_suffix(1);
  }
  return SpinPieces{scheme, rest.substr(0, colon), port};
}

Result<SpinEntry> SpinEntry::parse(std::string_view text) {
  const Result<SpinPieces> pieces = split_spin_entry(text);
  if (!pieces) return tl::unexpected(pieces.error());
  auto ports = parse_ports(pieces->port, pieces->scheme);
  if (!ports) return tl::unexpected(ports.error());
  if (pieces->scheme != "*" && !is_spin_alphabetic(pieces->scheme)) {
    return refuse("the scheme " + quote_for_display(pieces->scheme) +
                  " is no `*` and has other characters than letters");
  }
  auto hosts = parse_hosts(pieces->host);
  if (!hosts) return tl::unexpected(hosts.error());
  return SpinEntry{std::string(pieces->scheme), *std::move(hosts), *ports};
}

bool SpinEntry::allows(const SpinUrl& target) const {
  if (!allows_scheme(target.scheme) || !target.host || !target.is_host_readable) return false;
  const auto* domain = std::get_if<std::string>(&*target.host);
  const auto* address = std::get_if<SpinAddress>(&*target.host);
  bool has_host = false;
  if (const auto* subdomains = std::get_if<SpinSubdomains>(&host)) {
    has_host = domain != nullptr && domain->ends_with("." + subdomains->of);
  } else if (const auto* network = std::get_if<SpinNetwork>(&host)) {
    has_host = address != nullptr && network->contains(*address);
  } else if (const auto* literal = std::get_if<SpinHost>(&host)) {
    has_host = *literal == *target.host;
  } else {
    has_host = std::holds_alternative<SpinAnyHost>(host);
  }
  if (!has_host || ports.any) return has_host;
  const std::optional<std::uint16_t> port = target.port ? target.port : spin_default_port(target.scheme);
  return port && ports.contains(*port);
}

bool SpinEntry::allows_self() const {
  const bool is_web = allows_scheme("http") || allows_scheme("https");
  return is_web && (std::holds_alternative<SpinAnyHost>(host) || std::holds_alternative<SpinSelf>(host));
}

}  // namespace namewall
