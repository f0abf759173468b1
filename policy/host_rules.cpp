#include "policy/host_rules.h"

#include <algorithm>

namespace namewall {
namespace {

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string join_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string where(const Rule& rule) { return " (" + rule.origin.to_string() + ")"; }

}  // namespace

bool holds(const HostBlock& block, std::string_view policy_name) { return !has(block.exempt, policy_name); }

bool may_listen(const HostPolicy& host, std::string_view policy_name) {
  return !host.listen_limit.is_denied || has(host.listen_limit.exempt, policy_name);
}

std::vector<Rule> blocks_for(const HostPolicy& host, std::string_view policy_name) {
  std::vector<Rule> rules;
  for (const HostBlock& block : host.blocks) {
    if (holds(block, policy_name)) rules.push_back(block.rule);
  }
  return rules;
}

std::vector<Rule> host_denies_for(const HostPolicy& host, std::string_view policy_name) {
  std::vector<Rule> rules = host.deny;
  for (Rule& rule : blocks_for(host, policy_name)) rules.push_back(std::move(rule));
  return rules;
}

bool spares_own_loopback(const Rule& rule) {
  static const Prefix kWholeLoopbacks[] = {Prefix(Address::v4({127, 0, 0, 0}), 8, true),
                                           Prefix::of(Address::v4({0, 0, 0, 0})), Prefix::of(*parse_address("::1")),
                                           Prefix::of(Address())};
  const auto* prefix = std::get_if<Prefix>(&rule.endpoint.host);
  return prefix != nullptr && rule.from == kFromBlockNetworks &&
         std::any_of(std::begin(kWholeLoopbacks), std::end(kWholeLoopbacks),
                     [&](const Prefix& loopback) { return prefix->contains(loopback); });
}

std::vector<ExemptName> exempt_names(const HostPolicy& host) {
  std::vector<ExemptName> found;
  const auto add = [&](const std::vector<std::string>& names, const Origin& origin) {
    for (const std::string& name : names) {
      const bool is_new = std::none_of(found.begin(), found.end(), [&](const auto& one) { return one.name == name; });
      if (is_new) found.push_back({name, origin});
    }
  };
  add(host.listen_limit.exempt, host.listen_limit.origin);
  for (const HostBlock& block : host.blocks) add(block.exempt, block.rule.origin);
  return found;
}

std::vector<std::string> describe_host_limits(const HostPolicy& host, std::string_view policy_name) {
  std::vector<std::string> lines;
  const auto add_once = [&](std::string line) {
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));
  };
  if (host.listen_limit.is_denied) {
    const bool is_exempt = may_listen(host, policy_name);
    add_once(std::string("listen: ") + (is_exempt ? "as the policy says, exempt" : "denied") + " (" +
             host.listen_limit.origin.to_string() + ")");
  }
  for (const HostBlock& block : host.blocks) {
    const bool is_held = holds(block, policy_name);
    const auto say = [&](const std::string& what, const std::string& denied) {
      add_once(what + ": " + (is_held ? denied : "as the policy says, exempt") + where(block.rule));
    };
    if (block.rule.from == kFromBlockNetworks) {
      add_once(block.rule.endpoint.text + where(block.rule));
    } else if (block.rule.from == kFromUdpLimit) {
      say("udp", "denied but to resolvers");
    } else {
      say("loopback_low_ports", "denied");
    }
  }
  return lines;
}

std::string blocks_text(const HostPolicy& host) {
  std::string text;
  for (const HostBlock& block : host.blocks) {
    text += "block " + to_canonical_string(block.rule.endpoint) + " " + block.rule.from + " but " +
            join_names(block.exempt) + "\n";
  }
  if (host.listen_limit.is_denied) text += "listen denied but " + join_names(host.listen_limit.exempt) + "\n";
  return text;
}

}  // namespace namewall
