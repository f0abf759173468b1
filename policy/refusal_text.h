// Why a name may not be asked, for the text of a refusal.
#pragma once

#include <string>

#include "policy/policy_image.h"

namespace namewall {

// Of a name that decide_name() refuses: "builder: no rule names evil.example", or, where a rule allows it and a deny
// takes all of that away, with the broadest name pattern that does: "builder: deny rule *.evil.example names
// www.evil.example".
std::string refusal_text(const PolicyImage& image, const DomainName& name);

}  // namespace namewall
