// TOML text as a ConfigNode, by toml++.
#pragma once

#include <string_view>

#include "policy/config_tree.h"

namespace namewall {

tl::expected<ConfigNode, ConfigError> parse_toml_tree(std::string_view text);

}  // namespace namewall
