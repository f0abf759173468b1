#include "agent/explain_target.h"

#include <optional>

#include "policy/endpoint.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr const char* kAccepted =
    "; accepted: one name or address, with one protocol and port, such as `github.com`, `github.com:22`, "
    "`udp://192.0.2.1:53`";

// A bare IPv6 address is not ambiguous here, as there is no second port to tell apart.
std::string with_brackets(std::string_view text) {
  const std::optional<Address> address = parse_address(text);
  return address && !address->is_v4() ? "[" + std::string(text) + "]" : std::string(text);
}

std::optional<std::variant<DomainName, Address>> host_of(const Host& host) {
  if (const auto* pattern = std::get_if<NamePattern>(&host)) {
    if (pattern->is_exact()) return DomainName::from_normal(pattern->text());
  } else if (const auto* prefix = std::get_if<Prefix>(&host)) {
    if (prefix->is_single()) return prefix->base();
  }
  return std::nullopt;
}

}  // namespace

std::string ExplainTarget::to_string() const {
  std::string text = namewall::to_string(protocol) + " ";
  if (const auto* name = std::get_if<DomainName>(&host)) {
    text += name->text();
  } else {
    const Address& address = std::get<Address>(host);
    const bool in_brackets = !address.is_v4() && protocol != Protocol::kIcmp;
    text += in_brackets ? "[" + address.to_string() + "]" : address.to_string();
  }
  return protocol == Protocol::kIcmp ? text : text + ":" + std::to_string(port.number);
}

Result<ExplainTarget> parse_explain_target(std::string_view text) {
  const Result<Endpoint> endpoint = parse_endpoint(with_brackets(text), EndpointUse::kAllow);
  if (!endpoint) return tl::unexpected(endpoint.error());
  const std::optional<std::variant<DomainName, Address>> host = host_of(endpoint->host);
  const std::vector<PortRange>& ports = endpoint->ports.ranges();
  if (!host || ports.size() != 1 || ports[0].first != ports[0].last || endpoint->permits_private) {
    return fail(ErrorKind::kInvalid, quote_for_display(text) + " is more than one target" + kAccepted);
  }
  return ExplainTarget{*host, ports[0].protocol, ports[0].first};
}

}  // namespace namewall::agent
