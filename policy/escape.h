// Strings chosen by an attacker (names, commands, file names) made safe for a terminal, a log line, or a metric label:
// printable ASCII stays, everything else becomes \xNN, the backslash doubles. The result never exceeds 4 times the
// input.
#pragma once

#include <string>
#include <string_view>

namespace namewall {

std::string escape_for_display(std::string_view text);

// The same between back quotes, as messages point at what was found.
std::string quote_for_display(std::string_view text);

}  // namespace namewall
