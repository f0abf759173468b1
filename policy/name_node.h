// The nodes of a policy image by their place.
#pragma once

#include <string_view>

#include "policy/policy_image.h"

namespace namewall {

// nullptr: the image has no such node.
const NameNode* find_name_node(const PolicyImage& image, std::string_view name, bool is_below);

}  // namespace namewall
