// One entry of `allow` or `deny`: [scheme://]host[:ports], then options: ?private, ?resolve=agent,
// ?private&resolve=agent.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "policy/address.h"
#include "policy/name_pattern.h"
#include "policy/port_set.h"
#include "policy/result.h"

namespace namewall {

struct AnyHost {  // the host '*' of a full endpoint: every name and every address
  friend auto operator<=>(const AnyHost&, const AnyHost&) = default;
};

using Host = std::variant<NamePattern, Prefix, AnyHost>;

struct Endpoint {
  Host host;
  PortSet ports;
  bool permits_private = false;    // ?private: answers in RFC 1918, ULA and 100.64/10 teach
  std::string text;                // as written, for people
  bool resolved_by_agent = false;  // ?resolve=agent: one exact name, which the agent looks up for the workload
};

enum class EndpointUse { kAllow, kDeny };  // a bare host is https:// in allow, every protocol and port in deny

// Every refusal is one sentence that says what was found and what is accepted.
Result<Endpoint> parse_endpoint(std::string_view text, EndpointUse use);

// The canonical form of a parsed endpoint: scheme, ports and options spelled out ("tcp://example.com:443"). It reads
// back as the same endpoint for the same use; a bare host of `deny` stays one, it has no other spelling.
std::string to_canonical_string(const Endpoint& endpoint);

}  // namespace namewall
