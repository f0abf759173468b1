#include "policy/config_reader.h"

#include <algorithm>
#include <set>

#include "policy/duration.h"
#include "policy/escape.h"
#include "policy/suggestion.h"

namespace namewall {
namespace {

constexpr std::size_t kShownCharacters = 80;

bool contains(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "; did you mean `allow`?", or nothing.
std::string suggestion_for(std::string_view word, std::span<const std::string_view> accepted) {
  const std::optional<std::string_view> similar = suggest(word, accepted);
  return similar ? "; did you mean `" + std::string(*similar) + "`?" : "";
}

std::string list_of(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) text += (text.empty() ? "\"" : ", \"") + std::string(word) + "\"";
  return text;
}

std::string in_backquotes(std::string_view key) {
  std::string text = quoted(key);
  text.front() = text.back() = '`';
  return text;
}

}  // namespace

std::string quoted(std::string_view text) {
  const bool is_cut = text.size() > kShownCharacters;
  return '"' + escape_for_display(text.substr(0, kShownCharacters)) + (is_cut ? "...\"" : "\"");
}

std::string found(const ConfigNode& node) {
  std::string text(describe(node.kind));
  if (node.kind == ConfigNode::Kind::kString) text += " (" + quoted(node.text) + ")";
  if (node.kind == ConfigNode::Kind::kInteger) text += " (" + std::to_string(node.integer) + ")";
  return text;
}

Origin ConfigReader::origin_of(Position position) const { return {file_, position.line, position.column}; }

void ConfigReader::error(Position position, std::string message) {
  diagnostics_.push_back({Diagnostic::Severity::kError, origin_of(position), std::move(message)});
}

void ConfigReader::warning(Position position, std::string message) {
  diagnostics_.push_back({Diagnostic::Severity::kWarning, origin_of(position), std::move(message)});
}

void ConfigReader::read_table(const ConfigNode& table, const TableRules& rules) {
  std::vector<std::string_view> names;
  for (const KeyReader& reader : rules.keys) names.push_back(reader.key);
  const std::string where = rules.table_name.empty() ? "" : " in " + std::string(rules.table_name);
  std::set<std::string_view> seen;
  for (const ConfigEntry& entry : table.entries) {
    const auto reader = std::find(names.begin(), names.end(), entry.key);
    if (!seen.insert(entry.key).second) {
      error(entry.position, in_backquotes(entry.key) + " is written twice" + where);
    } else if (reader != names.end()) {
      rules.keys[static_cast<std::size_t>(reader - names.begin())].read(entry.value);
    } else if (contains(rules.of_host, entry.key)) {
      error(entry.position, in_backquotes(entry.key) + " is a key of the operator's own file: write it in host.toml");
    } else if (contains(rules.elsewhere, entry.key)) {
      error(entry.position, in_backquotes(entry.key) + " is a key of " + std::string(rules.elsewhere_name));
    } else {
      const std::string suggestion = suggestion_for(entry.key, names);
      std::string accepted;
      for (const std::string_view name : names) accepted += (accepted.empty() ? "" : ", ") + std::string(name);
      error(entry.position, "unknown key " + in_backquotes(entry.key) + where +
                                (suggestion.empty() ? "; accepted: " + accepted : suggestion));
    }
  }
}

bool ConfigReader::is_table(const ConfigNode& node, std::string_view key) {
  if (node.kind == ConfigNode::Kind::kTable) return true;
  error(node.position, "`" + std::string(key) + "` is " + found(node) + "; accepted: a table");
  return false;
}

const std::string* ConfigReader::read_string(const ConfigNode& node, std::string_view key) {
  if (node.kind == ConfigNode::Kind::kString) return &node.text;
  error(node.position, "`" + std::string(key) + "` is " + found(node) + "; accepted: a string");
  return nullptr;
}

std::optional<std::int64_t> ConfigReader::read_integer(const ConfigNode& node, std::string_view key, std::int64_t min,
                                                       std::int64_t max) {
  if (node.kind == ConfigNode::Kind::kInteger && node.integer >= min && node.integer <= max) return node.integer;
  error(node.position, "`" + std::string(key) + "` is " + found(node) + "; accepted: an integer from " +
                           std::to_string(min) + " to " + std::to_string(max));
  return std::nullopt;
}

std::optional<bool> ConfigReader::read_boolean(const ConfigNode& node, std::string_view key) {
  if (node.kind == ConfigNode::Kind::kBoolean) return node.truth;
  error(node.position, "`" + std::string(key) + "` is " + found(node) + "; accepted: true or false, without quotes");
  return std::nullopt;
}

std::optional<Nanoseconds> ConfigReader::read_duration(const ConfigNode& node, std::string_view key) {
  std::optional<Nanoseconds> duration;
  if (node.kind == ConfigNode::Kind::kString) duration = parse_duration(node.text);
  if (duration) return duration;
  const bool lacks_unit = node.kind == ConfigNode::Kind::kInteger && node.integer >= 0;
  error(node.position,
        "`" + std::string(key) + "` is " + found(node) + (lacks_unit ? " without a unit" : "") +
            "; accepted: a duration of at most 8760h with the units h, m, s, ms, such as \"90s\" or \"1h30m\"");
  return std::nullopt;
}

std::optional<std::size_t> ConfigReader::read_choice(const ConfigNode& node, std::string_view key,
                                                     std::span<const std::string_view> accepted) {
  const std::string name = "`" + std::string(key) + "`";
  if (node.kind != ConfigNode::Kind::kString) {
    error(node.position, name + " is " + found(node) + "; accepted: " + list_of(accepted));
    return std::nullopt;
  }
  const auto word = std::find(accepted.begin(), accepted.end(), node.text);
  if (word != accepted.end()) return static_cast<std::size_t>(word - accepted.begin());
  error(node.position,
        name + " is " + quoted(node.text) + "; accepted: " + list_of(accepted) + suggestion_for(node.text, accepted));
  return std::nullopt;
}

std::vector<const ConfigNode*> ConfigReader::read_strings(const ConfigNode& node, std::string_view key,
                                                          std::string_view item) {
  std::vector<const ConfigNode*> strings;
  if (node.kind != ConfigNode::Kind::kList) {
    error(node.position, "`" + std::string(key) + "` is " + found(node) + "; accepted: a list of strings");
    return strings;
  }
  for (const ConfigNode& element : node.items) {
    if (element.kind == ConfigNode::Kind::kString) {
      strings.push_back(&element);
    } else {
      error(element.position,
            "an item of `" + std::string(key) + "` is " + found(element) + "; accepted: " + std::string(item));
    }
  }
  return strings;
}

}  // namespace namewall
