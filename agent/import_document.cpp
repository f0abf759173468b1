#include "agent/import_document.h"

#include <algorithm>

#include "agent/yaml_tree.h"
#include "policy/config_reader.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxRemarks = 1000;
constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kMaxImportedRules = 100'000;

bool is_scalar(const ConfigNode& node) {
  return node.kind != ConfigNode::Kind::kList && node.kind != ConfigNode::Kind::kTable;
}

std::string text_at(const ImportNode& table, std::string_view key) {
  const auto node = field_of(table, key);
  return node && is_scalar(*node->value) ? node->value->text : "";
}

ImportObject object_of(const ImportNode& root) {
  const auto metadata = field_of(root, "metadata");
  return {root, text_at(root, "kind"), metadata ? text_at(*metadata, "name") : "",
          metadata ? text_at(*metadata, "namespace") : ""};
}

std::string expression_text(const ConfigNode& expression) {
  const ImportNode node{&expression, ""};
  std::string values;
  if (const auto list = field_of(node, "values")) {
    for (const ConfigNode& value : list->value->items) values += (values.empty() ? "" : "|") + value.text;
  }
  return text_at(node, "key") + " " + text_at(node, "operator") + (values.empty() ? "" : " " + values);
}

PortSet ports_of_protocol(const PortSet& ports, Protocol protocol) {
  std::vector<PortRange> ranges;
  for (PortRange range : ports.ranges()) {
    if (range.protocol != protocol) continue;
    // Port 0 is part of `*` and of nothing else that can be written. Nobody can listen on it.
    const bool is_every = range.first == Port{0} && range.last == Port{0xffff};
    if (protocol != Protocol::kIcmp && range.first == Port{0} && !is_every) range.first = Port{1};
    if (range.first <= range.last) ranges.push_back(range);
  }
  return PortSet(std::move(ranges));
}

}  // namespace

void ImportDocument::refuse_at(Position position, std::string path, std::string sentence) {
  if (policy_.refused.size() >= kMaxRemarks) return;
  policy_.refused.push_back({std::move(path), std::move(sentence), {file_, position.line, position.column}});
}

void ImportDocument::refuse(const ImportNode& node, std::string sentence) {
  refuse_at(node.value->position, node.path, std::move(sentence));
}

void ImportDocument::note(const ImportNode& node, std::string sentence) {
  if (policy_.notes.size() >= kMaxRemarks) return;
  const Position position = node.value->position;
  policy_.notes.push_back({node.path, std::move(sentence), {file_, position.line, position.column}});
}

void ImportDocument::add_rule(EndpointUse use, const ImportNode& from, const Host& host, const PortSet& ports,
                              bool permits_private) {
  std::vector<ImportedRule>& rules = use == EndpointUse::kAllow ? policy_.allow : policy_.deny;
  const auto add = [&](const PortSet& some) {
    if (some.empty()) return;
    if (rules.size() == kMaxImportedRules) return refuse(from, "the policy has more than 100000 rules");
    const std::string endpoint = to_canonical_string({host, some, permits_private, "", false});
    if (!(use == EndpointUse::kAllow ? allowed_ : denied_).insert(endpoint).second) return;
    const Position position = from.value->position;
    rules.push_back({endpoint, from.path, {file_, position.line, position.column}});
  };
  const bool has_short_form = use == EndpointUse::kDeny && !std::holds_alternative<AnyHost>(host);
  if (has_short_form && ports == PortSet::all()) return add(ports);
  const PortSet tcp = ports_of_protocol(ports, Protocol::kTcp);
  const PortSet udp = ports_of_protocol(ports, Protocol::kUdp);
  if (tcp.list_of(Protocol::kTcp) == udp.list_of(Protocol::kUdp)) {
    add(tcp.united(udp));
  } else {
    add(tcp);
    add(udp);
  }
  add(ports_of_protocol(ports, Protocol::kIcmp));
}

void ImportDocument::read_fields(const ImportNode& table, const std::vector<Field>& fields) {
  if (table.value->kind != ConfigNode::Kind::kTable)
    return refuse(table, "this is " + found(*table.value) + "; accepted: fields");
  std::set<std::string_view> seen;
  for (const ConfigEntry& entry : table.value->entries) {
    const std::string path = (table.path.empty() ? "" : table.path + ".") + entry.key;
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&](const Field& known) { return known.key == entry.key; });
    if (!seen.insert(entry.key).second) {
      refuse_at(entry.position, path, "this field is written twice");
    } else if (field == fields.end()) {
      refuse_at(entry.position, path, "namewall does not know this field, and so cannot say what it means for reach");
    } else if (field->read && entry.value.kind != ConfigNode::Kind::kNull) {
      field->read({&entry.value, path});
    }
  }
}

std::vector<ImportNode> ImportDocument::read_list(const ImportNode& node) {
  std::vector<ImportNode> items;
  if (node.value->kind != ConfigNode::Kind::kList) {
    refuse(node, "this is " + found(*node.value) + "; accepted: a list");
    return items;
  }
  for (std::size_t i = 0; i < node.value->items.size(); ++i) items.push_back(item_of(node, i));
  return items;
}

std::optional<std::string> ImportDocument::read_text(const ImportNode& node) {
  const ConfigNode::Kind kind = node.value->kind;
  if (kind == ConfigNode::Kind::kString || kind == ConfigNode::Kind::kInteger) return node.value->text;
  refuse(node, "this is " + found(*node.value) + "; accepted: a string");
  return std::nullopt;
}

std::optional<std::int64_t> ImportDocument::read_integer(const ImportNode& node, std::int64_t min, std::int64_t max) {
  if (node.value->kind == ConfigNode::Kind::kInteger && node.value->integer >= min && node.value->integer <= max) {
    return node.value->integer;
  }
  refuse(node, "this is " + found(*node.value) + "; accepted: an integer from " + std::to_string(min) + " to " +
                   std::to_string(max));
  return std::nullopt;
}

std::optional<bool> ImportDocument::read_boolean(const ImportNode& node) {
  if (node.value->kind == ConfigNode::Kind::kBoolean) return node.value->truth;
  refuse(node, "this is " + found(*node.value) + "; accepted: true or false");
  return std::nullopt;
}

std::optional<Prefix> ImportDocument::read_cidr(const ImportNode& node, bool is_address_accepted) {
  const std::optional<std::string> text = read_text(node);
  if (!text) return std::nullopt;
  const std::size_t slash = text->find('/');
  const std::optional<Address> base = parse_address(std::string_view(*text).substr(0, slash));
  const bool is_v4 = text->find(':') == std::string::npos;
  if (base && slash == std::string::npos && is_address_accepted) return Prefix::of(*base);
  if (base && slash != std::string::npos && is_v4 == base->is_v4()) {
    const std::string length = text->substr(slash + 1);
    const bool is_number = !length.empty() && length.size() <= 3 &&
                           length.find_first_not_of("0123456789") == std::string::npos &&
                           (length.size() == 1 || length.front() != '0');
    if (is_number && std::stoi(length) <= (is_v4 ? 32 : 128)) {
      return Prefix(*base, static_cast<std::uint8_t>(std::stoi(length)), is_v4);
    }
  }
  refuse(node, "this is " + found(*node.value) + "; accepted: a network such as `10.0.0.0/8` or `2001:db8::/32`");
  return std::nullopt;
}

ImportNode item_of(const ImportNode& list, std::size_t index) {
  return {&list.value->items[index], list.path + "[" + std::to_string(index) + "]"};
}

std::optional<ImportNode> field_of(const ImportNode& table, std::string_view key) {
  for (const ConfigEntry& entry : table.value->entries) {
    if (entry.key != key || entry.value.kind == ConfigNode::Kind::kNull) continue;
    return ImportNode{&entry.value, (table.path.empty() ? "" : table.path + ".") + entry.key};
  }
  return std::nullopt;
}

bool is_dns_alone(const PortSet& ports) {
  return !ports.empty() && std::all_of(ports.ranges().begin(), ports.ranges().end(), [](const PortRange& range) {
    return range.first == Port{kDnsPort} && range.last == Port{kDnsPort} && range.protocol != Protocol::kIcmp;
  });
}

bool is_same_value(const ConfigNode& a, const ConfigNode& b) {
  const auto is_same_entry = [](const ConfigEntry& x, const ConfigEntry& y) {
    return x.key == y.key && is_same_value(x.value, y.value);
  };
  return a.kind == b.kind && a.text == b.text &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), is_same_value) &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(), is_same_entry);
}

std::string describe_selector(const ConfigNode& selector) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const ConfigEntry& entry : selector.entries) {
    if (entry.key == "matchLabels") {
      for (const ConfigEntry& label : entry.value.entries) add(label.key + "=" + label.value.text);
    } else if (entry.key == "matchExpressions") {
      for (const ConfigNode& expression : entry.value.items) add(expression_text(expression));
    } else if (entry.value.kind == ConfigNode::Kind::kTable) {
      const std::string inner = describe_selector(entry.value);
      add(entry.key + " " + (inner.empty() ? "(all)" : inner));
    }
  }
  return text;
}

namespace {

std::vector<ImportObject> objects_of(const std::vector<ConfigNode>& documents, ImportDocument& document) {
  std::vector<ImportObject> objects;
  for (const ConfigNode& root : documents) {
    const ImportNode node{&root, ""};
    if (root.kind != ConfigNode::Kind::kTable) {
      document.refuse(node, "this document is " + found(root) + "; accepted: an object with `kind` and `spec`");
      continue;
    }
    const auto items = field_of(node, "items");
    if (!items || !text_at(node, "kind").ends_with("List")) {
      objects.push_back(object_of(node));
      continue;
    }
    for (const ImportNode& item : document.read_list(*items)) {
      if (item.value->kind == ConfigNode::Kind::kTable) {
        objects.push_back(object_of(item));
      } else {
        document.refuse(item, "this is " + found(*item.value) + "; accepted: an object");
      }
    }
  }
  if (objects.size() < 2) return objects;
  for (ImportObject& object : objects) {
    if (object.root.path.empty()) object.root.path = object.name.empty() ? object.kind : object.name;
  }
  return objects;
}

}  // namespace

ImportedPolicy import_objects(const ImportInput& input, const std::string& name,
                              const std::function<void(ImportDocument&, const std::vector<ImportObject>&)>& import) {
  ImportedPolicy policy;
  policy.source = input.file;
  ImportDocument document(input.file, policy);
  const auto documents = parse_yaml(input.text);
  if (!documents) {
    document.refuse_at(documents.error().position, "", documents.error().message);
    return policy;
  }
  std::vector<ImportObject> objects = objects_of(*documents, document);
  if (!name.empty()) std::erase_if(objects, [&](const ImportObject& object) { return object.name != name; });
  if (objects.empty()) {
    if (policy.ok()) {
      document.refuse_at({1, 1}, "",
                         name.empty() ? "the file has no policy" : "the file has no policy " + quoted(name));
    }
    return policy;
  }
  policy.name = objects.front().name;
  policy.source = "";
  for (const ImportObject& object : objects) {
    policy.source += (policy.source.empty() ? "" : ", ") + object.kind + " " + quote_for_display(object.name);
  }
  policy.source += " of " + input.file;
  import(document, objects);
  return policy;
}

void refuse_kind(ImportDocument& document, const ImportObject& object, std::string_view accepted) {
  document.refuse(object.root, "the kind " + quoted(object.kind) + " is not read here; accepted: " +
                                   std::string(accepted) + " (--name takes one policy out of a file)");
}

}  // namespace namewall::agent
