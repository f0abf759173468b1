// One entry of `listen`: "tcp:8080", "udp:53", "tcp:8000-8100", "tcp:80,443", "udp:*".
#pragma once

#include <string_view>

#include "policy/port_set.h"
#include "policy/result.h"

namespace namewall {

// The error says what was found and what is accepted.
Result<PortSet> parse_listen_ports(std::string_view text);

}  // namespace namewall
