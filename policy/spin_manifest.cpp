#include "policy/spin_manifest.h"

#include <algorithm>
#include <set>

#include "policy/domain_name.h"
#include "policy/escape.h"
#include "policy/spin_legacy.h"

namespace namewall {
namespace {

constexpr std::string_view kOutbound = "allowed_outbound_hosts", kHttp = "allowed_http_hosts";
constexpr std::size_t kMaxComponents = 1000;
constexpr std::string_view kEntryItem = "an entry as a string, such as \"https://example.com\"";

const ConfigEntry* find_entry(const ConfigNode& table, std::string_view key) {
  const auto found = std::find_if(table.entries.begin(), table.entries.end(),
                                  [&](const ConfigEntry& entry) { return entry.key == key; });
  return found == table.entries.end() ? nullptr : &*found;
}

const ConfigNode* find_node(const ConfigNode& table, std::string_view key) {
  const ConfigEntry* entry = find_entry(table, key);
  return entry == nullptr ? nullptr : &entry->value;
}

bool is_string(const ConfigNode* node) { return node != nullptr && node->kind == ConfigNode::Kind::kString; }

class ManifestReader {
 public:
  explicit ManifestReader(ConfigReader& config) : config_(config) {}

  SpinManifest read(const ConfigNode& root) {
    const ConfigNode* version = find_node(root, "spin_manifest_version");
    if (version == nullptr) version = find_node(root, "spin_version");
    if (version == nullptr) {
      config_.error({1, 1}, "no `spin_manifest_version`: this is no manifest of Spin");
    } else if (version->text == "1" || (version->text.empty() && version->integer == 1)) {
      read_version_1(root);
    } else if (version->text == "2" || (version->text.empty() && version->integer == 2)) {
      read_version_2(root);
    } else {
      config_.error(version->position, "the manifest's version is " + found(*version) + "; accepted: 2, or \"1\"");
    }
    if (const ConfigNode* variables = find_node(root, "variables")) read_variables(*variables);
    return std::move(manifest_);
  }

 private:
  void read_name(const ConfigNode* name) {
    if (is_string(name)) manifest_.application = name->text;
  }

  void read_variables(const ConfigNode& node) {
    if (!config_.is_table(node, "variables")) return;
    for (const ConfigEntry& variable : node.entries) {
      if (!config_.is_table(variable.value, "variables." + escape_for_display(variable.key))) continue;
      manifest_.variables.push_back(variable.key);
      if (const ConfigNode* value = find_node(variable.value, "default")) {
        if (const std::string* text = config_.read_string(*value, "default")) {
          manifest_.defaults[variable.key] = *text;
        }
      }
    }
    std::sort(manifest_.variables.begin(), manifest_.variables.end());
  }

  void read_version_1(const ConfigNode& root) {
    read_name(find_node(root, "name"));
    const ConfigNode* list = find_node(root, "component");
    if (list == nullptr) return;
    if (list->kind != ConfigNode::Kind::kList) {
      config_.error(list->position, "`component` is " + found(*list) + "; accepted in version 1: [[component]] tables");
      return;
    }
    for (const ConfigNode& item : list->items) {
      if (!config_.is_table(item, "component")) continue;
      const ConfigNode* id = find_node(item, "id");
      if (!is_string(id)) {
        config_.error(item.position, "a component has no `id`");
        continue;
      }
      add_component(spin_component_id(id->text), item, item.position, true);
    }
  }

  void read_version_2(const ConfigNode& root) {
    if (const ConfigNode* application = find_node(root, "application")) read_name(find_node(*application, "name"));
    if (const ConfigNode* components = find_node(root, "component")) {
      if (!config_.is_table(*components, "component")) return;
      for (const ConfigEntry& entry : components->entries) {
        if (config_.is_table(entry.value, "component." + escape_for_display(entry.key))) {
          add_component(entry.key, entry.value, entry.position, false);
        }
      }
    }
    const ConfigNode* triggers = find_node(root, "trigger");
    if (triggers == nullptr || triggers->kind != ConfigNode::Kind::kTable) return;
    for (const ConfigEntry& type : triggers->entries) {
      std::size_t number = 0;
      for (const ConfigNode& trigger : type.value.items) {
        if (trigger.kind == ConfigNode::Kind::kTable) read_trigger(trigger, type.key, number);
      }
    }
  }

  // A trigger may hold its components instead of naming them. `number`: of the triggers of its type that Spin numbers.
  void read_trigger(const ConfigNode& trigger, const std::string& type, std::size_t& number) {
    const ConfigNode* id = find_node(trigger, "id");
    const ConfigNode* component = find_node(trigger, "component");
    std::string trigger_id = is_string(id) ? id->text : "";
    if (trigger_id.empty() && !is_string(component)) trigger_id = type + "-trigger" + std::to_string(++number);
    std::vector<const ConfigNode*> specifications;
    if (component != nullptr) specifications.push_back(component);
    if (const ConfigNode* several = find_node(trigger, "components")) {
      for (const ConfigEntry& entry : several->entries) {
        if (entry.value.kind != ConfigNode::Kind::kList) specifications.push_back(&entry.value);
        for (const ConfigNode& item : entry.value.items) specifications.push_back(&item);
      }
    }
    std::size_t counter = 1;
    for (const ConfigNode* specification : specifications) {
      if (specification->kind != ConfigNode::Kind::kTable) continue;
      std::string name = trigger_id + "-component";
      if (specifications.size() > 1 || has_component(name)) {
        do name = "inline-component" + std::to_string(counter++);
        while (has_component(name));
      }
      add_component(name, *specification, specification->position, false);
    }
  }

  bool has_component(std::string_view id) const {
    return std::any_of(manifest_.components.begin(), manifest_.components.end(),
                       [&](const SpinComponent& component) { return component.id == id; });
  }

  void add_component(const std::string& id, const ConfigNode& table, Position position, bool is_version_1) {
    if (has_component(id)) {
      config_.error(position, "a second component " + quoted(id));
      return;
    }
    if (manifest_.components.size() == kMaxComponents) {
      config_.error(position, "the manifest has more than " + std::to_string(kMaxComponents) + " components");
    }
    if (manifest_.components.size() >= kMaxComponents) return;
    SpinComponent component{id, position, {}};
    const ConfigNode* outbound = find_node(table, kOutbound);
    if (outbound != nullptr) {
      for (const ConfigNode* item : config_.read_strings(*outbound, kOutbound, kEntryItem)) {
        component.entries.push_back({item->text, item->position});
      }
      if (component.entries.size() == 1 && component.entries.front().text == kSpinAllowAll) {
        config_.error(component.entries.front().position,
                      "`insecure:allow-all` is no more in Spin: `*://*:*` is every host");
        component.entries.clear();
      }
    } else if (is_version_1) {
      for (const std::string_view entry : spin_version_1_databases()) {
        component.entries.push_back(
            {std::string(entry), position, "a manifest of version 1 without `allowed_outbound_hosts`", true});
      }
    }
    if (const ConfigNode* http = find_node(table, kHttp)) read_http_hosts(*http, component);
    manifest_.components.push_back(std::move(component));
  }

  void read_http_hosts(const ConfigNode& node, SpinComponent& component) {
    std::vector<const ConfigNode*> items = config_.read_strings(node, kHttp, "a host as a string");
    const auto all =
        std::find_if(items.begin(), items.end(), [](const ConfigNode* item) { return item->text == kSpinAllowAll; });
    if (all != items.end()) items = {*all};
    for (const ConfigNode* item : items) {
      const auto entries = outbound_of_http_host(item->text);
      if (!entries) {
        config_.error(item->position, quoted(item->text) + " of `allowed_http_hosts`: " + entries.error().what);
        continue;
      }
      for (const std::string& entry : *entries) {
        component.entries.push_back({entry, item->position, quoted(item->text) + " of `allowed_http_hosts`"});
      }
    }
  }

  ConfigReader& config_;
  SpinManifest manifest_;
};

// Words between single hyphens, each of one case.
bool is_kebab(std::string_view id) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  while (!id.empty()) {
    const std::string_view word = id.substr(0, id.find('-'));
    if (word.find('_') != std::string_view::npos) return false;
    if (std::any_of(word.begin(), word.end(), is_lower) && std::any_of(word.begin(), word.end(), is_upper))
      return false;
    id.remove_prefix(std::min(id.size(), word.size() + 1));
  }
  return true;
}

}  // namespace

std::vector<std::string> SpinManifest::component_ids() const {
  std::vector<std::string> ids;
  for (const SpinComponent& component : components) ids.push_back(component.id);
  return ids;
}

std::string spin_component_id(std::string_view written) {
  if (is_kebab(written)) return std::string(written);
  std::string id = fold_ascii_case(written);
  std::replace(id.begin(), id.end(), '_', '-');
  return id;
}

Loaded<SpinManifest> read_spin_manifest(std::string_view text, std::string_view file_name) {
  return load_config<SpinManifest>(text, Format::kToml, file_name, [](ConfigReader& config, const ConfigNode& root) {
    return ManifestReader(config).read(root);
  });
}

}  // namespace namewall
