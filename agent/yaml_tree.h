// YAML documents as the tree that TOML and JSON become, with positions. The only file that knows the YAML library.
#pragma once

#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "policy/config_tree.h"

namespace namewall::agent {

inline constexpr std::size_t kMaxYamlDocuments = 1000;

// Every document of the text, empty ones left out. Plain scalars are what YAML's core schema makes of them: null, true,
// false, decimal integers, numbers with a fraction; any other is a string. A scalar keeps its text, whatever its kind.
// Errors: no YAML; above kMaxConfigBytes or kMaxConfigDepth; an alias, which could stand for a document of any size; a
// key that is no string; more than kMaxYamlDocuments.
tl::expected<std::vector<ConfigNode>, ConfigError> parse_yaml(std::string_view text);

}  // namespace namewall::agent
