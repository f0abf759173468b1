// JSON text as a ConfigNode, by nlohmann-json. Its SAX parser is iterative, and it tells no positions: they are found
// beside it.
#pragma once

#include <string_view>

#include "policy/config_tree.h"

namespace namewall {

tl::expected<ConfigNode, ConfigError> parse_json_tree(std::string_view text);

}  // namespace namewall
