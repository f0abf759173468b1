#include "policy/config_tree.h"

#include "policy/json_tree.h"
#include "policy/toml_tree.h"

namespace namewall {

std::string_view describe(ConfigNode::Kind kind) {
  switch (kind) {
    case ConfigNode::Kind::kString:
      return "a string";
    case ConfigNode::Kind::kInteger:
      return "an integer";
    case ConfigNode::Kind::kFloat:
      return "a number with a fraction";
    case ConfigNode::Kind::kBoolean:
      return "a boolean";
    case ConfigNode::Kind::kDate:
      return "a date or time";
    case ConfigNode::Kind::kNull:
      return "null";
    case ConfigNode::Kind::kList:
      return "a list";
    case ConfigNode::Kind::kTable:
      return "a table";
  }
  return "nothing";
}

tl::expected<ConfigNode, ConfigError> parse_config(std::string_view text, Format format) {
  if (text.size() > kMaxConfigBytes) {
    return tl::unexpected(ConfigError{{},
                                      "the file has " + std::to_string(text.size()) + " bytes; accepted: at most " +
                                          std::to_string(kMaxConfigBytes)});
  }
  return format == Format::kJson ? parse_json_tree(text) : parse_toml_tree(text);
}

}  // namespace namewall
