#include "policy/group_file.h"

#include <algorithm>
#include <map>
#include <set>

#include "policy/suggestion.h"

namespace namewall {
namespace {

constexpr std::size_t kShownGroups = 20;
constexpr std::string_view kItem = "an endpoint or \"@group\", as a string";

bool is_name_of_group(std::string_view name) {
  const auto is_alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && is_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

bool check_name(ConfigReader& config, std::string_view name, Position position) {
  if (is_name_of_group(name)) return true;
  config.error(position, "a group is called " + quoted(name) +
                             "; accepted: 1 to 63 characters of a-z, 0-9, `.`, `_` and `-`, of which the first is a "
                             "letter or digit");
  return false;
}

std::vector<GroupText::Entry> read_entries(ConfigReader& config, const ConfigNode& node, std::string_view key) {
  std::vector<GroupText::Entry> entries;
  for (const ConfigNode* item : config.read_strings(node, key, kItem)) {
    entries.push_back({item->text, config.origin_of(item->position)});
  }
  return entries;
}

class Resolver {
 public:
  Resolver(const std::vector<GroupText>& texts, std::span<const Group> known, std::vector<Diagnostic>& diagnostics)
      : known_(known), diagnostics_(diagnostics) {
    for (const GroupText& text : texts) texts_.try_emplace(text.name, &text);
  }

  // nullptr: it is being resolved further out.
  const Group* resolve(const GroupText& text, unsigned depth) {
    const auto [place, is_new] = done_.try_emplace(text.name);
    if (!is_new) return place->second.is_open ? nullptr : &place->second.group;
    Progress& progress = place->second;
    progress.group = {text.name, text.version, {}, text.origin};
    std::set<std::string> seen;
    for (const GroupText::Entry& entry : text.entries) add(entry, depth, progress.group, seen);
    progress.is_open = false;
    return &progress.group;
  }

 private:
  struct Progress {
    Group group;
    bool is_open = true;
  };

  void error(const Origin& origin, std::string message) {
    diagnostics_.push_back({Diagnostic::Severity::kError, origin, std::move(message)});
  }

  void add(const GroupText::Entry& entry, unsigned depth, Group& group, std::set<std::string>& seen) {
    if (group.rules.size() > kMaxGroupRules) return;  // told of
    if (entry.text.starts_with('@')) return add_group(entry, depth, group, seen);
    Result<Endpoint> endpoint = parse_endpoint(entry.text, EndpointUse::kAllow);
    if (!endpoint) return error(entry.origin, endpoint.error().what);
    add_rule({*std::move(endpoint), entry.origin, ""}, entry, group, seen);
  }

  void add_group(const GroupText::Entry& entry, unsigned depth, Group& group, std::set<std::string>& seen) {
    const std::string name = entry.text.substr(1);
    const Group* inner = nullptr;
    if (const auto text = texts_.find(name); text != texts_.end()) {
      if (depth == kMaxGroupDepth) {
        return error(entry.origin,
                     "groups are nested more than " + std::to_string(kMaxGroupDepth) + " deep at `@" + name + "`");
      }
      inner = resolve(*text->second, depth + 1);
      if (inner == nullptr) return error(entry.origin, "`@" + name + "` contains itself");
    } else {
      inner = find_group(known_, name);
      if (inner == nullptr) error(entry.origin, describe_unknown_group(name, all_names()));
    }
    if (inner == nullptr) return;
    for (const Rule& rule : inner->rules) {
      if (!add_rule({rule.endpoint, rule.origin, "@" + name}, entry, group, seen)) return;
    }
  }

  // False: the group is full.
  bool add_rule(Rule rule, const GroupText::Entry& entry, Group& group, std::set<std::string>& seen) {
    if (!seen.insert(to_canonical_string(rule.endpoint)).second) return true;
    group.rules.push_back(std::move(rule));
    if (group.rules.size() <= kMaxGroupRules) return true;
    error(entry.origin, "`@" + group.name + "` has more than " + std::to_string(kMaxGroupRules) + " rules");
    return false;
  }

  std::vector<Group> all_names() const {
    std::vector<Group> all;
    for (const auto& [name, text] : texts_) all.push_back({name, "", {}, {}});
    for (const Group& group : known_) all.push_back({group.name, "", {}, {}});
    return all;
  }

  std::span<const Group> known_;
  std::vector<Diagnostic>& diagnostics_;
  std::map<std::string, const GroupText*> texts_;
  std::map<std::string, Progress> done_;  // its elements stay where they are
};

}  // namespace

Loaded<GroupText> load_group_file(std::string_view text, Format format, std::string_view file_name) {
  return load_config<GroupText>(text, format, file_name, [](ConfigReader& config, const ConfigNode& root) {
    GroupText group;
    group.origin = config.origin_of({1, 1});
    const KeyReader keys[] = {
        {"name",
         [&](const ConfigNode& node) {
           const std::string* name = config.read_string(node, "name");
           if (name != nullptr && check_name(config, *name, node.position)) group.name = *name;
         }},
        {"version",
         [&](const ConfigNode& node) {
           if (const auto number = config.read_integer(node, "version", 1, 1'000'000'000)) {
             group.version = std::to_string(*number);
           }
         }},
        {"description", [&](const ConfigNode& node) { (void)config.read_string(node, "description"); }},
        {"allow", [&](const ConfigNode& node) { group.entries = read_entries(config, node, "allow"); }},
    };
    config.read_table(root, {"", keys, {}, {}, ""});
    if (group.name.empty()) config.error({1, 1}, "`name` is missing: every group file names its group");
    if (group.version.empty()) config.error({1, 1}, "`version` is missing: every group file has one, an integer");
    if (group.entries.empty()) config.error({1, 1}, "`allow` is missing or empty: a group lists endpoints");
    return group;
  });
}

bool is_group_file(std::string_view text, Format format) {
  const auto root = parse_config(text, format);
  return root && std::any_of(root->entries.begin(), root->entries.end(),
                             [](const ConfigEntry& entry) { return entry.key == "version"; });
}

std::vector<GroupText> read_groups(ConfigReader& config, const ConfigNode& node) {
  std::vector<GroupText> groups;
  if (!config.is_table(node, "groups")) return groups;
  std::set<std::string_view> seen;
  for (const ConfigEntry& entry : node.entries) {
    if (!seen.insert(entry.key).second) {
      config.error(entry.position, quoted(entry.key) + " is written twice in [groups]");
    } else if (check_name(config, entry.key, entry.position)) {
      groups.push_back({entry.key, "", read_entries(config, entry.value, entry.key), config.origin_of(entry.position)});
    }
  }
  if (groups.size() > kMaxGroups) {
    config.error(node.position, "[groups] has more than " + std::to_string(kMaxGroups) + " groups");
    groups.resize(kMaxGroups);
  }
  return groups;
}

std::vector<Group> resolve_groups(const std::vector<GroupText>& texts, std::span<const Group> known,
                                  std::vector<Diagnostic>& diagnostics) {
  Resolver resolver(texts, known, diagnostics);
  std::vector<Group> groups;
  std::set<std::string> seen;
  for (const GroupText& text : texts) {
    if (seen.insert(text.name).second) {
      groups.push_back(*resolver.resolve(text, 1));
    } else {
      diagnostics.push_back(
          {Diagnostic::Severity::kError, text.origin, "another file has the group `@" + text.name + "`, too"});
    }
  }
  return groups;
}

const Group* find_group(std::span<const Group> groups, std::string_view name) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) { return group.name == name; });
  return found == groups.end() ? nullptr : &*found;
}

std::string describe_unknown_group(std::string_view name, std::span<const Group> groups) {
  const std::string sentence = quoted("@" + std::string(name)) + " is no group";
  if (groups.empty()) {
    return sentence +
           "; this host has none: no files in /usr/share/namewall/groups, or where NAMEWALL_GROUPS points, " +
           "and no [groups] in host.toml";
  }
  std::vector<std::string_view> names;
  for (const Group& group : groups) {
    if (std::find(names.begin(), names.end(), group.name) == names.end()) names.push_back(group.name);
  }
  const auto near = suggest(name, names);
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), kShownGroups); ++i) {
    list += (i == 0 ? "@" : ", @") + std::string(names[i]);
  }
  if (names.size() > kShownGroups) list += ", ...";
  return sentence + (near ? "; did you mean `@" + std::string(*near) + "`?" : ";") + " accepted: " + list;
}

}  // namespace namewall
