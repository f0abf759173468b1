#include "policy/host_limits_reader.h"

#include <algorithm>

#include "policy/blocked_networks.h"
#include "policy/host_rules.h"
#include "policy/policy_name.h"

namespace namewall {
namespace {

constexpr std::size_t kMaxExempt = 1024;

}  // namespace

void HostLimitsReader::read_block_networks(const ConfigNode& node) {
  for (const ConfigNode* item : config_.read_strings(node, "block_networks", "\"private\" or a network as a string")) {
    const Result<BlockedNetwork> blocked = parse_blocked_network(item->text);
    if (!blocked) {
      config_.error(item->position, blocked.error().what);
      continue;
    }
    if (!blocked->note.empty()) config_.warning(item->position, blocked->note);
    for (const Prefix& prefix : blocked->prefixes) {
      const Endpoint endpoint{prefix, PortSet::all(), false, "block_networks: " + item->text};
      policy_.blocks.push_back({{endpoint, config_.origin_of(item->position), std::string(kFromBlockNetworks)}, {}});
    }
  }
}

void HostLimitsReader::read_limits(const ConfigNode& node) {
  if (!config_.is_table(node, "limits")) return;
  const KeyReader keys[] = {
      {"listen", [&](const ConfigNode& value) { read_limit(value, "listen", listen_); }},
      {"loopback_low_ports", [&](const ConfigNode& value) { read_limit(value, "loopback_low_ports", low_ports_); }},
      {"udp", [&](const ConfigNode& value) { read_limit(value, "udp", udp_); }},
  };
  config_.read_table(node, {"[limits]", keys, {}, {}, ""});
}

void HostLimitsReader::read_profile(const ConfigNode& node) {
  constexpr std::string_view kWords[] = {"spin"};
  if (!config_.read_choice(node, "profile", kWords)) return;
  policy_.profile = Profile::kSpin;
  profile_at_ = node.position;
}

void HostLimitsReader::read_limit(const ConfigNode& node, std::string_view key, std::optional<Limit>& limit) {
  if (node.kind == ConfigNode::Kind::kString && (node.text == "deny" || node.text == "policy")) {
    limit = Limit{node.text == "deny", {}, node.position};
  } else if (node.kind == ConfigNode::Kind::kList) {
    limit = Limit{true, read_exempt(node, key), node.position};
  } else {
    config_.error(node.position, "`" + std::string(key) + "` is " + found(node) +
                                     "; accepted: \"deny\", \"policy\" (the policy decides), or a list of the "
                                     "policies that are exempt, such as [\"builder\"]");
  }
}

std::vector<std::string> HostLimitsReader::read_exempt(const ConfigNode& node, std::string_view key) {
  std::vector<std::string> names;
  for (const ConfigNode* item : config_.read_strings(node, key, "the name of a policy as a string")) {
    if (!is_policy_name(item->text)) {
      config_.error(item->position, quoted(item->text) + " in `" + std::string(key) +
                                        "` is no policy's name; accepted: lower-case letters, digits, `.`, `_`, `-`, "
                                        "at most 63 of them");
    } else if (std::find(names.begin(), names.end(), item->text) != names.end()) {
      config_.warning(item->position, quoted(item->text) + " is twice in `" + std::string(key) + "`");
    } else {
      names.push_back(item->text);
    }
  }
  if (names.size() > kMaxExempt) {
    config_.error(node.position, "`" + std::string(key) + "` exempts more than " + std::to_string(kMaxExempt));
  }
  return names;
}

void HostLimitsReader::check_profile_listens_never() {
  if (!listen_ || (listen_->is_denied && listen_->exempt.empty())) return;
  config_.error(listen_->position,
                "`listen` lets policies listen, and with `profile = \"spin\"` nothing ever does; leave one of them "
                "out: the profile's other limits are `loopback_low_ports` and `udp`");
}

void HostLimitsReader::deny(const std::optional<Limit>& limit, std::string_view from,
                            std::initializer_list<const char*> endpoints) {
  if (!limit || !limit->is_denied) return;
  for (const char* text : endpoints) {
    Result<Endpoint> endpoint = parse_endpoint(text, EndpointUse::kDeny);
    if (!endpoint) continue;
    endpoint->text = std::string(from);
    policy_.blocks.push_back(
        {{*std::move(endpoint), config_.origin_of(limit->position), std::string(from)}, limit->exempt});
  }
}

void HostLimitsReader::finish() {
  if (policy_.profile == Profile::kSpin) {
    check_profile_listens_never();
    for (std::optional<Limit>* limit : {&listen_, &low_ports_, &udp_}) {
      if (!*limit) *limit = Limit{true, {}, profile_at_};
    }
  }
  if (listen_) policy_.listen_limit = {listen_->is_denied, listen_->exempt, config_.origin_of(listen_->position)};
  deny(low_ports_, kFromLowPortsLimit,
       {"*://127.0.0.0/8:1-1023", "*://0.0.0.0:1-1023", "*://[::1]:1-1023", "*://[::]:1-1023"});
  deny(udp_, kFromUdpLimit, {"udp://*:*"});
}

}  // namespace namewall
