// The host of an endpoint: a name, a name pattern, an address, a prefix, or '*'.
#pragma once

#include <string>
#include <string_view>

#include "policy/endpoint.h"

namespace namewall {

// True for dotted digits and for anything in brackets: a slash and a number behind it are a prefix length, not a path.
bool is_written_as_address(std::string_view text);

// "example.com", "*.example.com", "192.0.2.1", "10.0.0.0/8", "[2001:db8::1]", "[2001:db8::]/32", "*". `authority` is
// the host with whatever stood behind its first colon, to recognise IPv6 without brackets.
// Errors: localhost, odd IPv4 spellings, host bits in a prefix, and what NamePattern refuses.
Result<Host> parse_host(std::string_view text, std::string_view authority);

std::string to_string(const Host& host);

}  // namespace namewall
