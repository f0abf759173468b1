// The structure of a TOML or JSON document with positions: what both formats have in common, so that one reader walks
// either. Parsing is bounded in size, depth and stack use, whatever the bytes are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace namewall {

inline constexpr std::size_t kMaxConfigBytes = 1 << 20;
inline constexpr std::size_t kMaxConfigDepth = 32;  // tables and lists inside each other

enum class Format { kToml, kJson };

struct Position {  // 1-based, columns in characters (code points); 0: none
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct ConfigEntry;

struct ConfigNode {
  enum class Kind { kString, kInteger, kFloat, kBoolean, kDate, kNull, kList, kTable };
  Kind kind = Kind::kNull;
  Position position;                 // of the value's first character
  std::string text;                  // kString: the value
  std::int64_t integer = 0;          // kInteger, saturated
  bool truth = false;                // kBoolean
  std::vector<ConfigNode> items;     // kList
  std::vector<ConfigEntry> entries;  // kTable, in file order; JSON may hold a key twice
};

struct ConfigEntry {
  std::string key;
  Position position;  // of the key
  ConfigNode value;
};

struct ConfigError {
  Position position;
  std::string message;
};

std::string_view describe(ConfigNode::Kind kind);  // "a string", "an integer", "a list", ...

// The root is a table. An error: not in this format, too large or nested too deeply; nothing of the document is read.
tl::expected<ConfigNode, ConfigError> parse_config(std::string_view text, Format format);

}  // namespace namewall
