#include "policy/spin_endpoint.h"

#include <algorithm>

#include "policy/endpoint.h"
#include "policy/endpoint_host.h"
#include "policy/escape.h"
#include "policy/scheme.h"
#include "policy/spin_oddities.h"

namespace namewall {
namespace {

constexpr std::uint8_t kMappedBits = 96;
constexpr std::string_view kSocketSchemes[] = {"*", "tcp", "udp"};

bool is_of(std::string_view domain, std::string_view parent) {
  return domain == parent || (domain.ends_with(parent) && domain[domain.size() - parent.size() - 1] == '.');
}

std::string_view without_last_dot(std::string_view domain) {
  return domain.ends_with('.') ? domain.substr(0, domain.size() - 1) : domain;
}

// A v4-mapped address or network is the IPv4 one: the kernel sends both as IPv4.
std::string address_text(const SpinAddress& address, std::uint8_t length) {
  const bool is_mapped = !address.is_v4 && address.address.is_v4() && length >= kMappedBits;
  const std::uint8_t shown = is_mapped ? static_cast<std::uint8_t>(length - kMappedBits) : length;
  return to_string(Host(Prefix(address.address, shown, address.is_v4 || is_mapped)));
}

struct Converter {
  const SpinEntry& entry;
  bool strict_sockets;
  SpinEndpoint result = {};

  // False: there is nothing to open.
  bool say_nothing(std::string why) {
    result.remarks.push_back(std::move(why));
    return false;
  }

  bool accepts_scheme() {
    const bool is_socket =
        std::find(std::begin(kSocketSchemes), std::end(kSocketSchemes), entry.scheme) != std::end(kSocketSchemes);
    if (!is_spin_client_scheme(entry.scheme)) {
      return say_nothing("opens nothing: nothing in Spin asks for the scheme " + quote_for_display(entry.scheme));
    }
    if (strict_sockets && !is_socket) {
      return say_nothing("opens nothing: with sockets = \"strict\" only `*`, `tcp` and `udp` open sockets");
    }
    return true;
  }

  bool name_host(std::string_view domain, std::string_view prefix, std::string& host) {
    if (domain.ends_with('.')) result.remarks.emplace_back("the last dot does not count: it is the same name");
    domain = without_last_dot(domain);
    if (is_of(domain, kSpinInternal)) {
      return say_nothing("opens nothing: Spin passes requests between components on in memory");
    }
    if (is_of(domain, "localhost")) {
      return say_nothing("opens nothing: DNS does not answer for localhost; if the loopback is meant, write " +
                         std::string("`tcp://127.0.0.1:PORT` into `allow`"));
    }
    host = std::string(prefix) + std::string(domain);
    return true;
  }

  bool find_host(std::string& host) {
    if (std::holds_alternative<SpinSelf>(entry.host)) {
      return say_nothing("opens nothing: Spin answers requests to the application itself");
    }
    if (std::holds_alternative<SpinAnyHost>(entry.host)) return host = "*", true;
    if (const auto* below = std::get_if<SpinSubdomains>(&entry.host)) return name_host(below->of, "**.", host);
    if (const auto* network = std::get_if<SpinNetwork>(&entry.host)) {
      return host = address_text(network->base(), network->length()), true;
    }
    const SpinHost& literal = std::get<SpinHost>(entry.host);
    if (const auto* address = std::get_if<SpinAddress>(&literal)) {
      return host = address_text(*address, address->bits()), true;
    }
    return name_host(std::get<std::string>(literal), "", host);
  }

  // Both ends of the native range are included, and 0 is no port.
  bool find_ports(std::string& ports) {
    if (entry.ports.any) return ports = "*", true;
    const std::uint32_t first = std::max(entry.ports.first, 1U);
    if (first >= entry.ports.end) {
      return say_nothing(entry.ports.is_range ? "opens nothing: the range holds no port" : "opens nothing: port 0");
    }
    const std::uint32_t last = entry.ports.end - 1;
    ports = std::to_string(first) + (last == first ? "" : "-" + std::to_string(last));
    if (entry.ports.is_range) {
      result.remarks.push_back("Spin leaves the end of a range out: " + std::to_string(entry.ports.first) + ".." +
                               std::to_string(entry.ports.end) + " is " + ports);
    }
    return true;
  }

  // "https://example.com" where the native scheme says the same port.
  std::string endpoint(const std::string& host, const std::string& ports) const {
    const auto scheme = find_scheme(entry.scheme);
    const bool is_default = scheme && scheme->default_port && std::to_string(scheme->default_port->number) == ports;
    if (is_default) return entry.scheme + "://" + host;
    const bool is_plain = entry.scheme == "*" || entry.scheme == "udp";
    return (is_plain ? entry.scheme : "tcp") + "://" + host + ":" + ports;
  }

  SpinEndpoint convert() {
    std::string host;
    std::string ports;
    if (!accepts_scheme() || !find_host(host) || !find_ports(ports)) return std::move(result);
    std::string text = endpoint(host, ports);
    if (const auto parsed = parse_endpoint(text, EndpointUse::kAllow)) {
      result.text = std::move(text);
    } else {
      result.remarks.push_back("opens nothing: " + parsed.error().what);
    }
    return std::move(result);
  }
};

}  // namespace

SpinEndpoint convert_spin_entry(const SpinEntry& entry, bool strict_sockets) {
  return Converter{entry, strict_sockets}.convert();
}

}  // namespace namewall
