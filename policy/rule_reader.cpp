#include "policy/rule_reader.h"

#include <utility>
#include <variant>

#include "policy/group_file.h"
#include "policy/policy_loader.h"
#include "policy/rule_table.h"

namespace namewall {
namespace {

// Beside the text itself an endpoint's own sentence says what is accepted.
constexpr std::string_view kEndpointItem =
    "an endpoint as a string, such as \"https://example.com\", or as a table, such as { host = \"example.com\", "
    "service = \"https\" }";

// What a bare host means is a matter of the list that it stands in.
Result<Endpoint> endpoint_for(const Endpoint& endpoint, EndpointUse use) {
  return use == EndpointUse::kAllow ? Result<Endpoint>(endpoint) : parse_endpoint(endpoint.text, use);
}

}  // namespace

void RuleReader::add(std::string_view text, Position position, std::vector<Rule>& rules) {
  if (text.starts_with('@')) return add_group(text.substr(1), position, rules);
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

void RuleReader::add_group(std::string_view name, Position position, std::vector<Rule>& rules) {
  const Group* group = find_group(context_.groups, name);
  if (group == nullptr) return config_.error(position, describe_unknown_group(name, context_.groups));
  if (!groups_.insert(group->name).second) {
    return config_.warning(position, "`@" + group->name + "` is in this list twice");
  }
  for (const Rule& rule : group->rules) {
    if (rules.size() > kMaxRules) return;  // the loader tells of it
    Result<Endpoint> endpoint = endpoint_for(rule.endpoint, use_);
    if (!endpoint) {
      config_.error(position, "`@" + group->name + "`: " + endpoint.error().what);
    } else if (seen_.try_emplace(to_canonical_string(*endpoint), rule.origin).second) {
      rules.push_back({*std::move(endpoint), rule.origin, "@" + group->name});
    }
  }
}

void read_rules(ConfigReader& config, const ConfigNode& node, std::string_view key, EndpointUse use,
                std::vector<Rule>& rules, const LoadContext& context) {
  if (node.kind != ConfigNode::Kind::kList) {
    config.error(node.position, "`" + std::string(key) + "` is " + found(node) + "; accepted: a list of strings");
    return;
  }
  RuleReader reader(config, use, context);
  for (const ConfigNode& item : node.items) {
    if (item.kind == ConfigNode::Kind::kString) {
      reader.add(item.text, item.position, rules);
    } else if (item.kind == ConfigNode::Kind::kTable) {
      for (const std::string& endpoint : read_rule_table(config, item, use, context)) {
        reader.add(endpoint, item.position, rules);
      }
    } else {
      config.error(item.position, "an item of `" + std::string(key) + "` is " + found(item) +
                                      "; accepted: " + std::string(kEndpointItem));
    }
  }
}

}  // namespace namewall
