#include "policy/json_tree.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "policy/escape.h"

namespace namewall {
namespace {

// Finds where the tokens of valid JSON begin, one after the other: the parser reports values and keys in that order.
class TokenCursor {
 public:
  explicit TokenCursor(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  }

  // The position of the next value or key, which is then passed over; of a table or list only its bracket.
  Position next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n,:]}").find(text_[at_]) != std::string_view::npos) step();
    const Position begin = position_;
    if (at_ >= text_.size()) return begin;
    if (text_[at_] == '"') {
      skip_string();
    } else if (text_[at_] == '{' || text_[at_] == '[') {
      step();
    } else {
      while (at_ < text_.size() && std::string_view(" \t\r\n,:]}").find(text_[at_]) == std::string_view::npos) step();
    }
    return begin;
  }

  // The position of the byte at `offset`, which is not before those already passed.
  Position at_offset(std::size_t offset) {
    while (at_ < offset && at_ < text_.size()) step();
    return position_;
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

  void skip_string() {
    step();
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) step();
      step();
    }
    if (at_ < text_.size()) step();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Position position_{1, 1};
};

// Builds the tree from the parser's events. `false` stops the parser; `error` then says why.
class TreeBuilder {
 public:
  explicit TreeBuilder(std::string_view text) : text_(text), cursor_(text) {}

  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  bool null() { return add(ConfigNode::Kind::kNull) != nullptr; }
  bool boolean(bool value) {
    add(ConfigNode::Kind::kBoolean)->truth = value;
    return true;
  }
  bool number_integer(number_integer_t value) { return add_integer(value); }
  bool number_unsigned(number_unsigned_t value) {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    return add_integer(value > static_cast<std::uint64_t>(kMax) ? kMax : static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t, const string_t&) { return add(ConfigNode::Kind::kFloat) != nullptr; }
  bool string(string_t& value) {
    ConfigNode* node = add(ConfigNode::Kind::kString);
    if (node != nullptr) node->text = std::move(value);
    return node != nullptr;
  }
  bool binary(binary_t&) { return false; }  // not in JSON text

  bool start_object(std::size_t) { return open(ConfigNode::Kind::kTable); }
  bool key(string_t& value) {
    open_.back()->entries.push_back({std::move(value), cursor_.next(), {}});
    return true;
  }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(ConfigNode::Kind::kList); }
  bool end_array() { return close(); }

  bool parse_error(std::size_t byte, const std::string&, const nlohmann::json::exception& exception) {
    // "[json.exception...] parse error at line 1, column 5: syntax error while parsing value - what is wrong; last
    // read: ..."
    std::string what = exception.what();
    if (const std::size_t end = what.find("] "); end != std::string::npos) what.erase(0, end + 2);
    if (const std::size_t end = what.find(": "); what.starts_with("parse error at") && end != std::string::npos) {
      what.erase(0, end + 2);
    }
    error_ = ConfigError{TokenCursor(text_).at_offset(byte == 0 ? 0 : byte - 1),
                         "not valid JSON: " + escape_for_display(what)};
    return false;
  }

  std::optional<ConfigError> take_error() { return std::move(error_); }
  ConfigNode take_root() { return std::move(root_); }

 private:
  // The place for the value that has just been read. Pointers into the tree stay valid while their node is open: only
  // the innermost open list or table grows.
  ConfigNode* add(ConfigNode::Kind kind) {
    ConfigNode* node = &root_;
    if (!open_.empty() && open_.back()->kind == ConfigNode::Kind::kList) {
      node = &open_.back()->items.emplace_back();
    } else if (!open_.empty()) {
      node = &open_.back()->entries.back().value;
    }
    node->kind = kind;
    node->position = cursor_.next();
    return node;
  }

  bool add_integer(std::int64_t value) {
    ConfigNode* node = add(ConfigNode::Kind::kInteger);
    node->integer = value;
    return true;
  }

  bool open(ConfigNode::Kind kind) {
    ConfigNode* node = add(kind);
    if (open_.size() > kMaxConfigDepth) {
      error_ = ConfigError{node->position,
                           "tables and lists are nested more than " + std::to_string(kMaxConfigDepth) + " deep"};
      return false;
    }
    open_.push_back(node);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  TokenCursor cursor_;
  ConfigNode root_;
  std::vector<ConfigNode*> open_;
  std::optional<ConfigError> error_;
};

}  // namespace

tl::expected<ConfigNode, ConfigError> parse_json_tree(std::string_view text) {
  TreeBuilder builder(text);
  const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  if (std::optional<ConfigError> error = builder.take_error()) return tl::unexpected(*std::move(error));
  ConfigNode root = builder.take_root();
  if (!complete || root.kind != ConfigNode::Kind::kTable) {
    return tl::unexpected(ConfigError{
        root.position, "the document is " + std::string(describe(root.kind)) + "; accepted: a table, { ... }"});
  }
  return root;
}

}  // namespace namewall
