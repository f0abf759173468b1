#include "agent/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace namewall::agent {
namespace {

Position position_of(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<std::uint32_t>(mark.line) + 1, static_cast<std::uint32_t>(mark.column) + 1};
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_fraction(std::string_view text) {
  if (text.find_first_of("0123456789") == std::string_view::npos || text.front() == '+') return false;
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return status == std::errc() && end == text.data() + text.size() &&
         text.find_first_of(".eE") != std::string_view::npos;
}

ConfigNode to_scalar(const YAML::Mark& mark, std::string_view tag, const std::string& text) {
  ConfigNode node;
  node.position = position_of(mark);
  node.text = text;
  node.kind = ConfigNode::Kind::kString;
  if (tag != "?") return node;  // quoted, or said to be a string
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) {
    node.kind = ConfigNode::Kind::kNull;
  } else if (is_one_of(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) {
    node.kind = ConfigNode::Kind::kBoolean;
    node.truth = text.front() == 't' || text.front() == 'T';
  } else if (const auto integer = parse_integer(text)) {
    node.kind = ConfigNode::Kind::kInteger;
    node.integer = *integer;
  } else if (is_fraction(text)) {
    node.kind = ConfigNode::Kind::kFloat;
  }
  return node;
}

// Builds the tree from the parser's events. At the first error it stops listening: nothing is thrown through the
// parser.
class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(to_scalar(mark, "?", "")); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(position_of(mark), "an alias (`*name`) is not accepted: write out what it stands for");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    add(to_scalar(mark, tag, value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, ConfigNode::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, ConfigNode::Kind::kTable);
  }
  void OnMapEnd() override { close(); }

  const std::optional<ConfigError>& error() const { return error_; }
  std::optional<ConfigNode> take_document() { return std::exchange(document_, std::nullopt); }

 private:
  // A table or list that is being read; `key`: the one that waits for its value.
  struct Open {
    ConfigNode node;
    std::optional<ConfigEntry> waiting;
  };

  void refuse(Position position, std::string message) {
    if (!error_) error_ = ConfigError{position, std::move(message)};
  }

  void open(const YAML::Mark& mark, ConfigNode::Kind kind) {
    if (error_) return;
    if (open_.size() == kMaxConfigDepth) {
      refuse(position_of(mark), "more than " + std::to_string(kMaxConfigDepth) + " tables and lists inside each other");
      return;
    }
    open_.emplace_back();
    open_.back().node.kind = kind;
    open_.back().node.position = position_of(mark);
  }

  void close() {
    if (error_ || open_.empty()) return;
    ConfigNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void add(ConfigNode node) {
    if (error_) return;
    if (open_.empty()) {
      document_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == ConfigNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (parent.waiting) {
      parent.waiting->value = std::move(node);
      parent.node.entries.push_back(*std::exchange(parent.waiting, std::nullopt));
    } else if (node.kind == ConfigNode::Kind::kList || node.kind == ConfigNode::Kind::kTable) {
      refuse(node.position, "a key is " + std::string(describe(node.kind)) + "; accepted: a string");
    } else {
      parent.waiting = ConfigEntry{node.text, node.position, {}};
    }
  }

  std::vector<Open> open_;
  std::optional<ConfigNode> document_;
  std::optional<ConfigError> error_;
};

}  // namespace

tl::expected<std::vector<ConfigNode>, ConfigError> parse_yaml(std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return tl::unexpected(ConfigError{{},
                                      "the file has " + std::to_string(text.size()) + " bytes; accepted: at most " +
                                          std::to_string(kMaxConfigBytes)});
  }
  std::vector<ConfigNode> documents;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
      if (builder.error()) return tl::unexpected(*builder.error());
      std::optional<ConfigNode> document = builder.take_document();
      if (!document || document->kind == ConfigNode::Kind::kNull) continue;
      if (documents.size() == kMaxYamlDocuments) {
        return tl::unexpected(ConfigError{
            document->position, "the file has more than " + std::to_string(kMaxYamlDocuments) + " documents"});
      }
      documents.push_back(*std::move(document));
    }
  } catch (const YAML::Exception& error) {
    return tl::unexpected(ConfigError{position_of(error.mark), "this is no YAML: " + error.msg});
  } catch (const std::exception& error) {
    return tl::unexpected(ConfigError{{}, std::string("this is no YAML: ") + error.what()});
  }
  return documents;
}

}  // namespace namewall::agent
