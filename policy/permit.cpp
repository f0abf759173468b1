#include "policy/permit.h"

#include <variant>

#include "policy/endpoint.h"

namespace namewall {
namespace {

constexpr std::uint8_t kIcmpV4 = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58;  // IPPROTO_*

enum class Remedy { kNone, kName, kPrivateName, kAddress, kNameOrAddress };

Remedy remedy_for(Reason reason) {
  switch (reason) {
    case NW_REASON_NAME_NOT_ALLOWED:
      return Remedy::kName;
    case NW_REASON_PRIVATE_ANSWER:
      return Remedy::kPrivateName;
    case NW_REASON_NOT_LOOKED_UP:
    case NW_REASON_UNTRUSTED_RESOLVER:
    case NW_REASON_SPECIAL_ANSWER:
    case NW_REASON_PACKET_OLD_SOCKET:
      return Remedy::kAddress;
    case NW_REASON_PORT:
    case NW_REASON_NOT_ALLOWED_NOW:
      return Remedy::kNameOrAddress;
    default:
      return Remedy::kNone;
  }
}

// "https://host", "tcp://host:22"; nullopt for protocols that no rule can name.
std::optional<std::string> endpoint_of(const std::string& host, std::uint8_t ip_protocol, Port port) {
  const std::string port_text = ":" + std::to_string(port.number);
  switch (ip_protocol) {
    case kTcp:
      return port == Port{443} ? "https://" + host : "tcp://" + host + port_text;
    case kUdp:
      return "udp://" + host + port_text;
    case kIcmpV4:
    case kIcmpV6:
      return "icmp://" + host;
    default:
      return std::nullopt;
  }
}

std::string host_of(const Address& address) {
  return address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
}

// The loader must read `endpoint` as a rule for exactly this name: a question for "192.0.2.1" or "*" has none.
bool names(const std::string& endpoint, const DomainName& name) {
  const Result<Endpoint> parsed = parse_endpoint(endpoint, EndpointUse::kAllow);
  if (!parsed) return false;
  const auto* pattern = std::get_if<NamePattern>(&parsed->host);
  return pattern != nullptr && pattern->is_exact() && pattern->text() == name.text();
}

std::optional<std::string> endpoint_for_name(const Event& event, bool permits_private) {
  const Result<DomainName> name = DomainName::parse(event.name);
  if (!name || name->text() != fold_ascii_case(event.name)) return std::nullopt;  // IDNA made another name of it
  // A lookup does not tell the port that will follow.
  const bool is_lookup = event.hook == Hook::kQuestion || event.hook == Hook::kAnswer;
  std::optional<std::string> endpoint =
      is_lookup ? "https://" + name->text() : endpoint_of(name->text(), event.ip_protocol, event.port);
  if (!endpoint || !names(*endpoint, *name)) return std::nullopt;
  if (permits_private) *endpoint += "?private";
  return endpoint;
}

std::optional<std::string> endpoint_for_address(const Event& event) {
  std::optional<std::string> endpoint = endpoint_of(host_of(event.address), event.ip_protocol, event.port);
  if (!endpoint || !parse_endpoint(*endpoint, EndpointUse::kAllow)) return std::nullopt;
  return endpoint;
}

}  // namespace

std::optional<std::string> endpoint_that_permits(const Event& event) {
  switch (remedy_for(event.reason)) {
    case Remedy::kNone:
      return std::nullopt;
    case Remedy::kName:
      return endpoint_for_name(event, false);
    case Remedy::kPrivateName:
      return endpoint_for_name(event, true);
    case Remedy::kAddress:
      return endpoint_for_address(event);
    case Remedy::kNameOrAddress:
      return event.name.empty() ? endpoint_for_address(event) : endpoint_for_name(event, false);
  }
  return std::nullopt;
}

}  // namespace namewall
