// IDNA 2008 with UTS 46 non-transitional processing: what browsers and curl ask for when a person writes a name in
// another script.
#pragma once

#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall {

// UTF-8 in, lower-case ASCII out. The mapping can yield any ASCII character (a full-width '/' becomes '/'): the caller
// checks the result as if it had been written so. Error: kInvalid, with the reason alone.
Result<std::string> idna_to_ascii(std::string_view utf8);

}  // namespace namewall
