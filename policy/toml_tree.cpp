#include "policy/toml_tree.h"

#include <algorithm>
#include <optional>

#include "policy/escape.h"

// Its own copy of the parser: the one in Debian's library throws.
#undef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/impl/preprocessor.h>
// toml++ 3.3 takes for granted what its own code checks right behind: with "[[[a]" as input its release build is
// clang is undefined behaviour, a debug build aborts. Without the assumption it reports the error.
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expr) static_assert(true)
#include <toml++/toml.h>

namespace namewall {
namespace {

Position position_of(const toml::source_position& position) { return {position.line, position.column}; }

// A walk over the characters of TOML text that knows strings and comments, as far as counting dots needs it.
//
// toml++ 3.3 makes a table for every dot of a dotted key, without a bound, and destroys them by recursion: a key of
// 500,000 dots would exhaust the stack. So a line may hold only so many dots outside of strings.
class DotCounter {
 public:
  explicit DotCounter(std::string_view text) : text_(text) {}

  std::optional<Position> find_excess() {
    std::size_t dots = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') dots = 0;
      if (c == '.' && ++dots > kMaxConfigDepth) return position_;
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') step();
      } else if (c == '"' || c == '\'') {
        skip_string(c);
      } else {
        step();
      }
    }
    return std::nullopt;
  }

 private:
  void step() {
    const auto byte = static_cast<unsigned char>(text_[at_++]);
    if (byte == '\n') {
      ++position_.line;
      position_.column = 1;
    } else if ((byte & 0xc0) != 0x80) {
      ++position_.column;
    }
  }
  void step(std::size_t count) {
    while (count-- > 0 && at_ < text_.size()) step();
  }

  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool is_multiline = text_.substr(at_).starts_with(three);
    const std::string_view end = is_multiline ? std::string_view(three) : std::string_view(three).substr(2);
    step(end.size());
    while (at_ < text_.size() && !text_.substr(at_).starts_with(end)) {
      if (!is_multiline && text_[at_] == '\n') return;  // the parser stops here
      step(quote == '"' && text_[at_] == '\\' ? 2 : 1);
    }
    step(end.size());
    // Up to two quotes may stand before the closing three.
    while (is_multiline && at_ < text_.size() && text_[at_] == quote) step();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Position position_{1, 1};
};

ConfigNode node_of(const toml::node& value, std::size_t depth, std::optional<ConfigError>& error);

ConfigNode::Kind kind_of(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return ConfigNode::Kind::kTable;
    case toml::node_type::array:
      return ConfigNode::Kind::kList;
    case toml::node_type::string:
      return ConfigNode::Kind::kString;
    case toml::node_type::integer:
      return ConfigNode::Kind::kInteger;
    case toml::node_type::floating_point:
      return ConfigNode::Kind::kFloat;
    case toml::node_type::boolean:
      return ConfigNode::Kind::kBoolean;
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return ConfigNode::Kind::kDate;
    case toml::node_type::none:
      break;
  }
  return ConfigNode::Kind::kNull;
}

void read_table(const toml::table& table, std::size_t depth, ConfigNode& node, std::optional<ConfigError>& error) {
  for (const auto& [key, value] : table) {
    node.entries.push_back({std::string(key.str()), position_of(key.source().begin), node_of(value, depth + 1, error)});
    if (error) return;
  }
  // toml++ sorts by key.
  std::stable_sort(node.entries.begin(), node.entries.end(),
                   [](const ConfigEntry& a, const ConfigEntry& b) { return a.position < b.position; });
}

ConfigNode node_of(const toml::node& value, std::size_t depth, std::optional<ConfigError>& error) {
  ConfigNode node;
  node.kind = kind_of(value.type());
  node.position = position_of(value.source().begin);
  if (depth > kMaxConfigDepth) {
    error = ConfigError{node.position,
                        "tables and lists are nested more than " + std::to_string(kMaxConfigDepth) + " deep"};
    return node;
  }
  if (const auto* string = value.as_string()) {
    node.text = string->get();
  } else if (const auto* integer = value.as_integer()) {
    node.integer = integer->get();
  } else if (const auto* list = value.as_array()) {
    for (const toml::node& item : *list) {
      node.items.push_back(node_of(item, depth + 1, error));
      if (error) break;
    }
  } else if (const auto* table = value.as_table()) {
    read_table(*table, depth, node, error);
  }
  return node;
}

}  // namespace

tl::expected<ConfigNode, ConfigError> parse_toml_tree(std::string_view text) {
  if (const std::optional<Position> excess = DotCounter(text).find_excess()) {
    return tl::unexpected(
        ConfigError{*excess, "a dotted key has more than " + std::to_string(kMaxConfigDepth) + " parts"});
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return tl::unexpected(ConfigError{position_of(parsed.error().source().begin),
                                      "not valid TOML: " + escape_for_display(parsed.error().description())});
  }
  std::optional<ConfigError> error;
  ConfigNode root = node_of(parsed.table(), 0, error);
  if (error) return tl::unexpected(*std::move(error));
  return root;
}

}  // namespace namewall
