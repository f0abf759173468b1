// The host of a URL by the WHATWG URL Standard, as Spin reads the hosts of its entries and of what a component asks
// for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "policy/result.h"
#include "policy/spin_address.h"

namespace namewall {

// A domain in ASCII lower case (a trailing dot stays, empty labels too), or an address.
using SpinHost = std::variant<std::string, SpinAddress>;

// Percent escapes are decoded, IDNA is applied, a host that ends in a number is an IPv4 address in any spelling
// ("127.1", "0x7f.1", "0177.0.0.1", "2130706433"), "[...]" is an IPv6 address. Error (kInvalid): why it is no host.
Result<SpinHost> parse_spin_host(std::string_view text);

std::string to_string(const SpinHost& host);  // IPv6 without brackets

}  // namespace namewall
