// '*' within one label: any number of characters, none included. The one matcher of every dialect of name patterns.
#pragma once

#include <string_view>

namespace namewall {

// Linear space, at most pattern length times label length steps.
bool label_glob_matches(std::string_view pattern, std::string_view label);

}  // namespace namewall
