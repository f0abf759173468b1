// The systemd drop-in by which a service arms itself before its first process. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

inline constexpr const char* kDropInName = "50-namewall.conf";

// The full name of a service as systemd knows it: ".service" is added, characters that no unit name has are escaped as
// systemd-escape does. kInvalid: a path, an empty or too long name, a unit of another type.
Result<std::string> service_name(std::string_view given);

// One argument of a command line in a unit file (systemd.service(5), "COMMAND LINES").
std::string quote_for_unit_file(std::string_view argument);

// `policy_file` is absolute.
std::string drop_in_text(const std::string& program, const std::string& policy_file, bool allow_partial);
// The policy of a drop-in that drop_in_text() wrote; "" of any other text.
std::string policy_of_drop_in(std::string_view text);

}  // namespace namewall::agent
