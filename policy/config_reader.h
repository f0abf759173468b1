// Reads typed values out of a ConfigNode and collects what is wrong with them. Every reader reports its own mistake
// and returns nothing; the caller goes on with the next value, so that one pass finds all mistakes.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/boot_time.h"
#include "policy/config_tree.h"
#include "policy/diagnostic.h"

namespace namewall {

// The value of `key` in the table being read.
struct KeyReader {
  std::string_view key;
  std::function<void(const ConfigNode&)> read;
};

// A string from the file as a message shows it: quoted, escaped, at most 80 characters.
std::string quoted(std::string_view text);
// "a string (\"x\")": what was found.
std::string found(const ConfigNode& node);

class ConfigReader {
 public:
  explicit ConfigReader(std::string_view file) : file_(file) {}

  Origin origin_of(Position position) const;
  void error(Position position, std::string message);
  void warning(Position position, std::string message);
  std::vector<Diagnostic> take_diagnostics() { return std::move(diagnostics_); }

  // Hands each entry to its reader. Unknown keys, and keys written twice are errors. `table_name`: "" for the
  // root, else as in "[dns]". `of_host`, `elsewhere`: keys that a message can send to host.toml or to another table.
  struct TableRules {
    std::string_view table_name;
    std::span<const KeyReader> keys;
    std::span<const std::string_view> of_host;
    std::span<const std::string_view> elsewhere;
    std::string_view elsewhere_name;  // "[dns]"
  };
  void read_table(const ConfigNode& table, const TableRules& rules);

  bool is_table(const ConfigNode& node, std::string_view key);
  // nullptr unless it is a string.
  const std::string* read_string(const ConfigNode& node, std::string_view key);
  std::optional<std::int64_t> read_integer(const ConfigNode& node, std::string_view key, std::int64_t min,
                                           std::int64_t max);
  std::optional<bool> read_boolean(const ConfigNode& node, std::string_view key);
  // A duration of policy/duration.h.
  std::optional<Nanoseconds> read_duration(const ConfigNode& node, std::string_view key);
  // The index of the word in `accepted`.
  std::optional<std::size_t> read_choice(const ConfigNode& node, std::string_view key,
                                         std::span<const std::string_view> accepted);
  // The strings of a list; other items are reported and left out. `item`: what one is, as in "an endpoint".
  std::vector<const ConfigNode*> read_strings(const ConfigNode& node, std::string_view key, std::string_view item);

 private:
  std::string file_;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace namewall
