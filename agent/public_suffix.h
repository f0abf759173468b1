// Debian's list of public suffixes: the names below which anybody can have a name ("co.uk", "github.io").
#pragma once

#include <functional>
#include <string_view>

namespace namewall::agent {

// Reads the newest list there is, of the package publicsuffix or built into libpsl. Empty where there is none. A name
// of one label that the list does not have is none.
std::function<bool(std::string_view)> read_public_suffixes();

}  // namespace namewall::agent
