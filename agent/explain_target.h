// What `namewall explain` is asked about: one protocol and port of one name or address.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "policy/address.h"
#include "policy/domain_name.h"
#include "policy/port_set.h"
#include "policy/result.h"

namespace namewall::agent {

struct ExplainTarget {
  std::variant<DomainName, Address> host;
  Protocol protocol = Protocol::kTcp;
  Port port;
  std::string to_string() const;  // "tcp github.com:22", "icmp 192.0.2.1"
};

// [scheme://]name-or-address[:port], written as a rule of `allow`: a bare name is https. The error says what is
// accepted.
Result<ExplainTarget> parse_explain_target(std::string_view text);

}  // namespace namewall::agent
