#include "policy/policy_loader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/cgroup_reader.h"
#include "policy/config_reader.h"
#include "policy/duration.h"
#include "policy/listen_ports.h"
#include "policy/policy_name.h"
#include "policy/rule_reader.h"
#include "policy/spin_reader.h"

namespace namewall {
namespace {

constexpr std::string_view kDnsKeys[] = {"learn", "resolvers", "search",        "min_ttl",     "max_ttl",
                                         "grace", "retain",    "max_addresses", "refuse_with", "resolve",
                                         "hints", "ech",       "cache",         "bounds"};
constexpr std::string_view kHostKeys[] = {"block_networks", "limits", "profile", "private_names", "groups", "log",
                                          "metrics",        "daemon", "proxy",   "restrict"};
constexpr std::size_t kMaxExpectations = 1000;
constexpr std::int64_t kMaxAddresses = 1'048'576;
constexpr std::int64_t kMaxInFlight = 65'536, kMaxPerSecond = 1'000'000, kMaxConnections = 4096;
constexpr Nanoseconds kMinIdle = std::chrono::seconds(1), kMaxIdle = std::chrono::hours(1);

class PolicyReader {
 public:
  PolicyReader(ConfigReader& config, std::string_view own_name, const LoadContext& context)
      : config_(config), context_(context) {
    policy_.name = own_name;
  }

  Policy read(const ConfigNode& root) {
    policy_.origin = config_.origin_of({1, 1});
    bool has_name = !policy_.name.empty();
    CgroupReader cgroups(config_, policy_);
    const ConfigNode* spin = nullptr;
    const KeyReader keys[] = {
        {"name", [&](const ConfigNode& node) { has_name = true, read_name(node); }},
        {"cgroup", [&](const ConfigNode& node) { cgroups.read_cgroup(node); }},
        {"unarmed_children", [&](const ConfigNode& node) { cgroups.read_unarmed_children(node); }},
        {"guard_shared", [&](const ConfigNode& node) { cgroups.read_guard_shared(node); }},
        {"backend",
         [&](const ConfigNode& node) {
           Backend backend{};
           if (choose(node, "backend", {"bpf", "nft"}, backend)) policy_.backend = backend;
         }},
        {"mode",
         [&](const ConfigNode& node) {
           choose(node, "mode", {"enforce", "audit"}, policy_.mode);
         }},
        {"allow", [&](const ConfigNode& node) { read_allow(node); }},
        {"deny",
         [&](const ConfigNode& node) {
           read_rules(config_, node, "deny", EndpointUse::kDeny, policy_.deny, context_);
         }},
        {"spin", [&](const ConfigNode& node) { spin = &node; }},
        {"listen", [&](const ConfigNode& node) { read_listen(node); }},
        {"loopback",
         [&](const ConfigNode& node) {
           choose(node, "loopback", {"none", "own", "any"}, policy_.loopback);
         }},
        {"cut_unattributed",
         [&](const ConfigNode& node) {
           policy_.cut_unattributed = config_.read_boolean(node, "cut_unattributed").value_or(false);
         }},
        {"expect", [&](const ConfigNode& node) { read_expectations(node); }},
        {"dns", [&](const ConfigNode& node) { read_dns(node); }},
    };
    config_.read_table(root, {"", keys, kHostKeys, kDnsKeys, "[dns]"});
    if (spin != nullptr) SpinReader(config_, context_).read(*spin, policy_, elsewhere_);
    cgroups.check();
    if (!has_name) config_.error({1, 1}, "`name` is missing: every policy file names its policy");
    if (policy_.allow.size() + policy_.deny.size() > kMaxRules) {
      config_.error({1, 1}, "the policy has " + std::to_string(policy_.allow.size() + policy_.deny.size()) +
                                " rules; accepted: at most " + std::to_string(kMaxRules));
    }
    return std::move(policy_);
  }

  // Of files that the policy refers to.
  std::vector<Diagnostic> take_diagnostics_elsewhere() { return std::move(elsewhere_); }

 private:
  // Words in the order of the enumeration's values. False: it is none of them.
  template <typename Enum>
  bool choose(const ConfigNode& node, std::string_view key, std::initializer_list<std::string_view> words,
              Enum& value) {
    const auto index = config_.read_choice(node, key, words);
    if (index) value = static_cast<Enum>(*index);
    return index.has_value();
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

  void read_allow(const ConfigNode& node) {
    if (node.kind == ConfigNode::Kind::kList && node.items.empty()) {
      config_.error(node.position, "`allow` is an empty list; a policy that refuses everything leaves `allow` out");
    }
    read_rules(config_, node, "allow", EndpointUse::kAllow, policy_.allow, context_);
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

  void read_expectations(const ConfigNode& node) {
    if (node.kind != ConfigNode::Kind::kList) {
      config_.error(node.position, "`expect` is " + found(node) + "; accepted: tables, each under [[expect]]");
      return;
    }
    if (node.items.size() > kMaxExpectations) {
      config_.error(node.position, "the policy has " + std::to_string(node.items.size()) +
                                       " expectations; accepted: at most " + std::to_string(kMaxExpectations));
      return;
    }
    for (const ConfigNode& item : node.items) {
      if (config_.is_table(item, "expect")) read_expectation(item);
    }
  }

  void read_expectation(const ConfigNode& node) {
    Expectation expectation;
    expectation.origin = config_.origin_of(node.position);
    bool has_target = false, has_allowed = false;
    const KeyReader keys[] = {
        {"target",
         [&](const ConfigNode& value) {
           has_target = true;
           if (const std::string* target = config_.read_string(value, "target")) {
             expectation.target = *target;
             expectation.origin = config_.origin_of(value.position);
           }
         }},
        {"allowed",
         [&](const ConfigNode& value) {
           has_allowed = true;
           expectation.allowed = config_.read_boolean(value, "allowed").value_or(false);
         }},
    };
    config_.read_table(node, {"[[expect]]", keys, {}, {}, ""});
    if (!has_target) config_.error(node.position, "`target` is missing in [[expect]]");
    if (!has_allowed) config_.error(node.position, "`allowed` is missing in [[expect]]: true or false");
    if (has_target && has_allowed) policy_.expect.push_back(std::move(expectation));
  }

  void read_dns(const ConfigNode& node) {
    if (!config_.is_table(node, "dns")) return;
    DnsSettings& dns = policy_.dns;
    Position min_ttl;
    Position max_ttl;
    const KeyReader keys[] = {
        {"learn", [&](const ConfigNode& value) { read_learn(value); }},
        {"resolvers", [&](const ConfigNode& value) { read_resolvers(value); }},
        {"search", [&](const ConfigNode& value) { read_search(value); }},
        {"min_ttl",
         [&](const ConfigNode& value) { read_duration(value, "min_ttl", dns.min_ttl), min_ttl = value.position; }},
        {"max_ttl",
         [&](const ConfigNode& value) { read_duration(value, "max_ttl", dns.max_ttl), max_ttl = value.position; }},
        {"grace", [&](const ConfigNode& value) { read_duration(value, "grace", dns.grace); }},
        {"retain",
         [&](const ConfigNode& value) {
           choose(value, "retain", {"ttl", "workload", "until-next-answer"}, dns.retain);
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
        {"resolve",
         [&](const ConfigNode& value) {
           choose(value, "resolve", {"workload", "agent"}, dns.resolve);
         }},
        {"hints",
         [&](const ConfigNode& value) {
           choose(value, "hints", {"teach", "strip"}, dns.hints);
         }},
        {"ech",
         [&](const ConfigNode& value) {
           choose(value, "ech", {"keep", "strip"}, dns.ech);
         }},
        {"cache",
         [&](const ConfigNode& value) { dns.cache = config_.read_boolean(value, "cache").value_or(dns.cache); }},
        {"bounds", [&](const ConfigNode& value) { read_bounds(value, dns.bounds); }},
    };
    config_.read_table(node, {"[dns]", keys, {}, kRootKeys, "the policy itself: write it above [dns]"});
    if (dns.min_ttl > dns.max_ttl) {
      config_.error(std::max(min_ttl, max_ttl), "`min_ttl` (" + format_duration(dns.min_ttl) +
                                                    ") is more than `max_ttl` (" + format_duration(dns.max_ttl) + ")");
    }
  }

  void read_learn(const ConfigNode& node) {
    constexpr std::string_view kWords[] = {"auto", "kernel", "proxy"};
    const std::optional<std::size_t> index = config_.read_choice(node, "learn", kWords);
    if (!index || *index == 0) return;
    policy_.dns.learn = *index == 1 ? Learn::kKernel : Learn::kProxy;
    policy_.dns.learn_origin = config_.origin_of(node.position);
  }

  void read_bounds(const ConfigNode& node, DnsBounds& bounds) {
    if (!config_.is_table(node, "bounds")) return;
    const auto count = [&](std::string_view key, std::int64_t max, std::uint32_t& value) {
      return KeyReader{key, [this, key, max, &value](const ConfigNode& item) {
                         if (const auto read = config_.read_integer(item, key, 1, max)) {
                           value = static_cast<std::uint32_t>(*read);
                         }
                       }};
    };
    const KeyReader keys[] = {
        count("in_flight", kMaxInFlight, bounds.in_flight),
        count("per_second", kMaxPerSecond, bounds.per_second),
        count("fresh_per_second", kMaxPerSecond, bounds.fresh_per_second),
        count("connections", kMaxConnections, bounds.connections),
        {"idle", [&](const ConfigNode& value) { read_idle(value, bounds.idle); }},
    };
    config_.read_table(node, {"[dns.bounds]", keys, {}, kDnsKeys, "[dns]"});
  }

  void read_idle(const ConfigNode& node, Nanoseconds& idle) {
    const std::optional<Nanoseconds> read = config_.read_duration(node, "idle");
    if (!read) return;
    if (*read < kMinIdle || *read > kMaxIdle) {
      config_.error(node.position, "`idle` is " + found(node) + "; accepted: \"1s\" to \"1h\"");
    } else {
      idle = *read;
    }
  }

  void read_duration(const ConfigNode& node, std::string_view key, Nanoseconds& duration) {
    if (const std::optional<Nanoseconds> read = config_.read_duration(node, key)) duration = *read;
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

  static constexpr std::array<std::string_view, 13> kRootKeys = {
      "name", "cgroup", "unarmed_children", "guard_shared", "backend",          "mode",  "allow",
      "deny", "listen", "loopback",         "spin",         "cut_unattributed", "expect"};
  ConfigReader& config_;
  const LoadContext& context_;
  Policy policy_;
  std::vector<Diagnostic> elsewhere_;
};

}  // namespace

Format format_of(std::string_view file_name, std::string_view text) {
  if (file_name.ends_with(".json")) return Format::kJson;
  if (file_name.ends_with(".toml")) return Format::kToml;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' ? Format::kJson : Format::kToml;
}

Loaded<Policy> load_policy(std::string_view text, Format format, std::string_view file_name, std::string_view own_name,
                           const LoadContext& context) {
  std::vector<Diagnostic> elsewhere;
  Loaded<Policy> loaded =
      load_config<Policy>(text, format, file_name, [&](ConfigReader& config, const ConfigNode& root) {
        PolicyReader reader(config, own_name, context);
        Policy policy = reader.read(root);
        elsewhere = reader.take_diagnostics_elsewhere();
        return policy;
      });
  for (Diagnostic& diagnostic : elsewhere) loaded.diagnostics.push_back(std::move(diagnostic));
  return loaded;
}

Loaded<Policy> load_policy_arguments(const std::vector<std::string>& allow, const std::vector<std::string>& deny,
                                     const LoadContext& context) {
  Loaded<Policy> loaded;
  const auto read = [&](const std::vector<std::string>& texts, std::string_view option, EndpointUse use,
                        std::vector<Rule>& rules) {
    ConfigReader config(option);
    RuleReader reader(config, use, context);
    for (const std::string& text : texts) reader.add(text, {}, rules);
    for (Diagnostic& diagnostic : config.take_diagnostics()) loaded.diagnostics.push_back(std::move(diagnostic));
  };
  read(allow, "--allow", EndpointUse::kAllow, loaded.value.allow);
  read(deny, "--deny", EndpointUse::kDeny, loaded.value.deny);
  loaded.value.origin.file = "--allow";
  return loaded;
}

}  // namespace namewall
