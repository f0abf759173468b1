// The rule that would permit a refusal: the endpoint to put behind --allow or into a policy.
#pragma once

#include <optional>
#include <string>

#include "policy/event.h"

namespace namewall {

// "https://github.com", "tcp://example.com:22", "udp://[2001:db8::1]:53"; "https://nexus.corp.example?private" for a
// private answer. nullopt where no allow rule helps (deny rules, raw sockets, loopback, names that do not parse).
std::optional<std::string> endpoint_that_permits(const Event& event);

}  // namespace namewall
