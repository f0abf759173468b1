#include "policy/policy_loader.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "policy/config_reader.h"
#include "policy/duration.h"
#include "policy/listen_ports.h"

namespace namewall {
namespace {

constexpr std::string_view kDnsKeys[] = {"learn", "resolvers", "search",        "min_ttl",    "max_ttl",
                                         "grace", "retain",    "max_addresses", "refuse_with"};
constexpr std::string_view kLaterPolicyKeys[] = {"cut_unattributed", "profile", "groups", "limits"};
constexpr std::string_view kLaterHostKeys[] = {"limits", "block_networks", "profile", "groups"};
constexpr std::int64_t kMaxAddresses = 1'048'576;

// Beside the text itself an endpoint's own sentence says what is accepted.
constexpr std::string_view kEndpointItem = "an endpoint as a string, such as \"https://example.com\"";

bool is_policy_name(std::string_view name) {
  const auto is_alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && is_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

// An absolute path or glob below the cgroup mount: no empty, "." or ".." part, no control characters.
bool is_cgroup_path(std::string_view path) {
  if (!path.starts_with('/')) return false;
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(path.begin(), path.end(), is_control)) return false;
  if (path == "/") return true;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(part.size());
  }
  return true;
}

// `allow` and `deny` lists, for files and arguments alike.
class RuleReader {
 public:
  RuleReader(ConfigReader& config, EndpointUse use) : config_(config), use_(use) {}

  void add(std::string_view text, Position position, std::vector<Rule>& rules) {
    Result<Endpoint> endpoint = parse_endpoint(text, use_);
    if (!endpoint) {
      config_.error(position, endpoint.error().what);
      return;
    }
    if (const auto* pattern = std::get_if<NamePattern>(&endpoint->host);
        pattern != nullptr && pattern->has_suspicious_prefix()) {
      config_.warning(position, quoted(text) +
                                    " has a `*` that stands for characters of one label only; for every name " +
                                    "below write `**.`");
    }
    const Origin origin = config_.origin_of(position);
    const auto [first, is_new] = seen_.try_emplace(to_canonical_string(*endpoint), origin);
    if (!is_new) {
      config_.warning(position, quoted(text) + " is the same rule as that at " + first->second.to_string());
    }
    rules.push_back({*std::move(endpoint), origin});
  }

 private:
  ConfigReader& config_;
  EndpointUse use_;
  std::map<std::string, Origin> seen_;  // by canonical form
};

void read_rules(ConfigReader& config, const ConfigNode& node, std::string_view key, EndpointUse use,
                std::vector<Rule>& rules) {
  RuleReader reader(config, use);
  for (const ConfigNode* item : config.read_strings(node, key, kEndpointItem)) {
    reader.add(item->text, item->position, rules);
  }
}

class PolicyReader {
 public:
  explicit PolicyReader(ConfigReader& config) : config_(config) {}

  Policy read(const ConfigNode& root) {
    policy_.origin = config_.origin_of({1, 1});
    bool has_name = false;
    const KeyReader keys[] = {
        {"name", [&](const ConfigNode& node) { has_name = true, read_name(node); }},
        {"cgroup", [&](const ConfigNode& node) { read_cgroup(node); }},
        {"mode",
         [&](const ConfigNode& node) {
           choose(node, "mode", {"enforce", "audit"}, policy_.mode);
         }},
        {"allow", [&](const ConfigNode& node) { read_allow(node); }},
        {"deny", [&](const ConfigNode& node) { read_rules(config_, node, "deny", EndpointUse::kDeny, policy_.deny); }},
        {"listen", [&](const ConfigNode& node) { read_listen(node); }},
        {"loopback",
         [&](const ConfigNode& node) {
           choose(node, "loopback", {"none", "own", "any"}, policy_.loopback);
         }},
        {"dns", [&](const ConfigNode& node) { read_dns(node); }},
    };
    config_.read_table(root, {"", keys, kLaterPolicyKeys, kDnsKeys, "[dns]"});
    if (!has_name) config_.error({1, 1}, "`name` is missing: every policy file names its policy");
    if (policy_.allow.size() + policy_.deny.size() > kMaxRules) {
      config_.error({1, 1}, "the policy has " + std::to_string(policy_.allow.size() + policy_.deny.size()) +
                                " rules; accepted: at most " + std::to_string(kMaxRules));
    }
    return std::move(policy_);
  }

 private:
  // Words in the order of the enumeration's values.
  template <typename Enum>
  void choose(const ConfigNode& node, std::string_view key, std::initializer_list<std::string_view> words, Enum& value,
              std::initializer_list<std::string_view> later = {}) {
    if (const auto index = config_.read_choice(node, key, words, later)) value = static_cast<Enum>(*index);
  }

  void read_name(const ConfigNode& node) {
    const std::string* name = config_.read_string(node, "name");
    if (name == nullptr) return;
    if (is_policy_name(*name)) {
      policy_.name = *name;
    } else {
      config_.error(node.position,
                    "`name` is " + quoted(*name) +
                        "; accepted: 1 to 63 characters of a-z, 0-9, `.`, `_` and `-`, of which the first is "
                        "a letter or digit");
    }
  }

  void read_cgroup(const ConfigNode& node) {
    if (node.kind == ConfigNode::Kind::kString) return add_cgroup(node);
    if (node.kind != ConfigNode::Kind::kList) {
      return config_.error(node.position, "`cgroup` is " + found(node) + "; accepted: a path or a list of paths");
    }
    if (node.items.empty()) config_.error(node.position, "`cgroup` is an empty list; leave it out instead");
    for (const ConfigNode* item : config_.read_strings(node, "cgroup", "a path as a string")) add_cgroup(*item);
  }

  void add_cgroup(const ConfigNode& node) {
    if (is_cgroup_path(node.text)) {
      policy_.cgroups.push_back(node.text);
    } else {
      config_.error(node.position,
                    "`cgroup` is " + quoted(node.text) +
                        "; accepted: a path or glob below the cgroup mount that begins with `/`, without `..`");
    }
  }

  void read_allow(const ConfigNode& node) {
    if (node.kind == ConfigNode::Kind::kList && node.items.empty()) {
      config_.error(node.position, "`allow` is an empty list; a policy that refuses everything leaves `allow` out");
    }
    read_rules(config_, node, "allow", EndpointUse::kAllow, policy_.allow);
  }

  void read_listen(const ConfigNode& node) {
    for (const ConfigNode* item : config_.read_strings(node, "listen", "a port as a string, such as \"tcp:8080\"")) {
      if (const Result<PortSet> ports = parse_listen_ports(item->text)) {
        policy_.listen = policy_.listen.united(*ports);
      } else {
        config_.error(item->position, ports.error().what);
      }
    }
  }

  void read_dns(const ConfigNode& node) {
    if (!config_.is_table(node, "dns")) return;
    DnsSettings& dns = policy_.dns;
    Position min_ttl;
    Position max_ttl;
    const KeyReader keys[] = {
        {"learn", [&](const ConfigNode& value) { config_.read_choice(value, "learn", kLearnWords, kLaterLearnWords); }},
        {"resolvers", [&](const ConfigNode& value) { read_resolvers(value); }},
        {"search", [&](const ConfigNode& value) { read_search(value); }},
        {"min_ttl",
         [&](const ConfigNode& value) { read_duration(value, "min_ttl", dns.min_ttl), min_ttl = value.position; }},
        {"max_ttl",
         [&](const ConfigNode& value) { read_duration(value, "max_ttl", dns.max_ttl), max_ttl = value.position; }},
        {"grace", [&](const ConfigNode& value) { read_duration(value, "grace", dns.grace); }},
        {"retain",
         [&](const ConfigNode& value) {
           choose(value, "retain", {"ttl", "workload"}, dns.retain, {"until-next-answer"});
         }},
        {"max_addresses",
         [&](const ConfigNode& value) {
           if (const auto count = config_.read_integer(value, "max_addresses", 1, kMaxAddresses)) {
             dns.max_addresses = static_cast<std::uint32_t>(*count);
           }
         }},
        {"refuse_with",
         [&](const ConfigNode& value) {
           choose(value, "refuse_with", {"nxdomain", "refused", "nodata"}, dns.refuse_with);
         }},
    };
    config_.read_table(node, {"[dns]", keys, {}, kRootKeys, "the policy itself: write it above [dns]"});
    if (dns.min_ttl > dns.max_ttl) {
      config_.error(std::max(min_ttl, max_ttl), "`min_ttl` (" + format_duration(dns.min_ttl) +
                                                    ") is more than `max_ttl` (" + format_duration(dns.max_ttl) + ")");
    }
  }

  void read_duration(const ConfigNode& node, std::string_view key, Nanoseconds& duration) {
    const std::string name = "`" + std::string(key) + "`";
    constexpr std::string_view kAccepted =
        "; accepted: a duration of at most 8760h with the units h, m, s, ms, such as \"90s\" or \"1h30m\"";
    if (node.kind == ConfigNode::Kind::kInteger && node.integer >= 0) {
      return config_.error(node.position, name + " is " + found(node) + " without a unit" + std::string(kAccepted));
    }
    if (node.kind == ConfigNode::Kind::kString) {
      if (const std::optional<Nanoseconds> parsed = parse_duration(node.text)) {
        duration = *parsed;
        return;
      }
    }
    config_.error(node.position, name + " is " + found(node) + std::string(kAccepted));
  }

  void read_resolvers(const ConfigNode& node) {
    constexpr std::string_view kItem = "\"system\", ADDR, ADDR:PORT or [ADDR6]:PORT, as a string";
    if (node.kind == ConfigNode::Kind::kList && node.items.empty()) {
      config_.error(node.position,
                    "`resolvers` is an empty list, with which no name can be looked up; "
                    "leave it out to use the host's resolvers");
    }
    const std::vector<const ConfigNode*> items = config_.read_strings(node, "resolvers", kItem);
    policy_.dns.resolvers_from_system = false;
    for (const ConfigNode* item : items) {
      if (item->text == "system") {
        policy_.dns.resolvers_from_system = true;
      } else if (const std::optional<ResolverAddress> resolver = parse_resolver_address(item->text)) {
        policy_.dns.resolvers.push_back(*resolver);
      } else {
        config_.error(item->position, "a resolver is " + quoted(item->text) + "; accepted: " + std::string(kItem));
      }
    }
  }

  void read_search(const ConfigNode& node) {
    const auto add = [&](const ConfigNode& item) {
      if (item.text == "system") {
        policy_.dns.search_from_system = true;
      } else if (Result<DomainName> domain = DomainName::parse(item.text)) {
        policy_.dns.search.push_back(*std::move(domain));
      } else {
        config_.error(item.position, "a search domain: " + domain.error().what);
      }
    };
    policy_.dns.search_from_system = false;
    if (node.kind == ConfigNode::Kind::kString) return add(node);
    for (const ConfigNode* item : config_.read_strings(node, "search", "\"system\" or a domain, as a string"))
      add(*item);
  }

  static constexpr std::array<std::string_view, 1> kLearnWords = {"kernel"};
  static constexpr std::array<std::string_view, 1> kLaterLearnWords = {"proxy"};
  static constexpr std::array<std::string_view, 7> kRootKeys = {"name", "cgroup", "mode",    "allow",
                                                                "deny", "listen", "loopback"};
  ConfigReader& config_;
  Policy policy_;
};

HostPolicy read_host_policy(ConfigReader& config, const ConfigNode& root) {
  HostPolicy host;
  host.origin = config.origin_of({1, 1});
  const auto read_private_names = [&](const ConfigNode& node) {
    for (const ConfigNode* item : config.read_strings(node, "private_names", "a name pattern as a string")) {
      if (Result<NamePattern> pattern = NamePattern::parse(item->text)) {
        host.private_names.push_back(
            {Endpoint{*std::move(pattern), PortSet::all(), true, item->text}, config.origin_of(item->position)});
      } else {
        config.error(item->position, pattern.error().what);
      }
    }
  };
  const KeyReader keys[] = {
      {"deny", [&](const ConfigNode& node) { read_rules(config, node, "deny", EndpointUse::kDeny, host.deny); }},
      {"private_names", read_private_names},
  };
  config.read_table(root, {"", keys, kLaterHostKeys, {}, ""});
  if (host.deny.size() + host.private_names.size() > kMaxRules) {
    config.error({1, 1}, "the file has more than " + std::to_string(kMaxRules) + " rules");
  }
  return host;
}

template <typename T, typename Read>
Loaded<T> load(std::string_view text, Format format, std::string_view file_name, Read read) {
  Loaded<T> loaded;
  ConfigReader config(file_name);
  const auto tree = parse_config(text, format);
  if (tree) {
    loaded.value = read(config, *tree);
  } else {
    config.error(tree.error().position, tree.error().message);
  }
  loaded.diagnostics = in_file_order(config.take_diagnostics());
  return loaded;
}

}  // namespace

Format format_of(std::string_view file_name, std::string_view text) {
  if (file_name.ends_with(".json")) return Format::kJson;
  if (file_name.ends_with(".toml")) return Format::kToml;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' ? Format::kJson : Format::kToml;
}

Loaded<Policy> load_policy(std::string_view text, Format format, std::string_view file_name) {
  return load<Policy>(text, format, file_name,
                      [](ConfigReader& config, const ConfigNode& root) { return PolicyReader(config).read(root); });
}

Loaded<HostPolicy> load_host_policy(std::string_view text, Format format, std::string_view file_name) {
  return load<HostPolicy>(text, format, file_name, read_host_policy);
}

Loaded<Policy> load_policy_arguments(const std::vector<std::string>& allow, const std::vector<std::string>& deny) {
  Loaded<Policy> loaded;
  const auto read = [&](const std::vector<std::string>& texts, std::string_view option, EndpointUse use,
                        std::vector<Rule>& rules) {
    ConfigReader config(option);
    RuleReader reader(config, use);
    for (const std::string& text : texts) reader.add(text, {}, rules);
    for (Diagnostic& diagnostic : config.take_diagnostics()) loaded.diagnostics.push_back(std::move(diagnostic));
  };
  read(allow, "--allow", EndpointUse::kAllow, loaded.value.allow);
  read(deny, "--deny", EndpointUse::kDeny, loaded.value.deny);
  loaded.value.origin.file = "--allow";
  return loaded;
}

}  // namespace namewall
