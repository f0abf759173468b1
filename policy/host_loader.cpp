#include "policy/host_loader.h"

#include <algorithm>
#include <utility>

#include "policy/byte_size.h"
#include "policy/group_file.h"
#include "policy/host_limits_reader.h"
#include "policy/rule_reader.h"

namespace namewall {
namespace {

constexpr std::string_view kLimitKeys[] = {"listen", "loopback_low_ports", "udp"};
constexpr std::int64_t kMaxSpareChildren = 4096;
constexpr std::int64_t kMaxWorkloads = 262'144;
constexpr std::uint64_t kMinCache = 64u << 10, kMaxCache = 1u << 30;
constexpr std::int64_t kMaxRestrictions = 16'384, kMaxRestrictDepth = 12, kMaxRestrictRate = 1000;
constexpr std::size_t kMaxGroupName = 32;  // useradd(8)

bool is_group_name(std::string_view name) {
  const auto is_accepted = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  return !name.empty() && name.size() <= kMaxGroupName && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), is_accepted);
}

// ADDR:PORT of this host's loopback.
std::optional<ResolverAddress> parse_loopback_listener(std::string_view text) {
  const std::optional<ResolverAddress> listener = parse_resolver_address(text);
  const bool has_port = text.starts_with('[') ? text.find("]:") != std::string_view::npos
                                              : std::count(text.begin(), text.end(), ':') == 1;
  if (!listener || !has_port) return std::nullopt;
  const bool is_loopback = Prefix(*parse_address("127.0.0.0"), 8, true).contains(listener->address) ||
                           listener->address == *parse_address("::1");
  return is_loopback ? listener : std::nullopt;
}

class HostReader {
 public:
  HostReader(ConfigReader& config, const LoadContext& context) : config_(config), context_(context) {}

  HostFile read(const ConfigNode& root) {
    HostPolicy& policy = host_.policy;
    policy.origin = config_.origin_of({1, 1});
    for (const ConfigEntry& entry : root.entries) {  // `deny` may name them, wherever it stands
      if (entry.key == "groups" && policy.groups.empty()) read_own_groups(entry.value);
    }
    HostLimitsReader limits(config_, policy);
    const KeyReader keys[] = {
        {"groups", [](const ConfigNode&) {}},
        {"backend",
         [&](const ConfigNode& node) {
           choose(node, "backend", {"bpf", "nft"}, policy.backend);
         }},
        {"deny", [&](const ConfigNode& node) { read_deny(node); }},
        {"private_names", [&](const ConfigNode& node) { read_private_names(node); }},
        {"block_networks", [&](const ConfigNode& node) { limits.read_block_networks(node); }},
        {"limits", [&](const ConfigNode& node) { limits.read_limits(node); }},
        {"profile", [&](const ConfigNode& node) { limits.read_profile(node); }},
        {"log", [&](const ConfigNode& node) { read_log(node); }},
        {"metrics", [&](const ConfigNode& node) { read_metrics(node); }},
        {"daemon", [&](const ConfigNode& node) { read_daemon(node); }},
        {"proxy", [&](const ConfigNode& node) { read_proxy(node); }},
        {"restrict", [&](const ConfigNode& node) { read_restrict(node); }},
    };
    config_.read_table(root, {"", keys, {}, kLimitKeys, "[limits]"});
    limits.finish();
    if (policy.deny.size() + policy.private_names.size() + policy.blocks.size() > kMaxRules) {
      config_.error({1, 1}, "the file has more than " + std::to_string(kMaxRules) + " rules");
    }
    return std::move(host_);
  }

 private:
  void read_own_groups(const ConfigNode& node) {
    std::vector<Diagnostic> diagnostics;
    host_.policy.groups = resolve_groups(read_groups(config_, node), context_.groups, diagnostics);
    for (const Diagnostic& diagnostic : diagnostics) {
      config_.error({diagnostic.origin.line, diagnostic.origin.column}, diagnostic.message);
    }
  }

  void read_deny(const ConfigNode& node) {
    std::vector<Group> groups = host_.policy.groups;
    groups.insert(groups.end(), context_.groups.begin(), context_.groups.end());
    read_rules(config_, node, "deny", EndpointUse::kDeny, host_.policy.deny, {groups, context_.services, {}});
  }

  void read_private_names(const ConfigNode& node) {
    for (const ConfigNode* item : config_.read_strings(node, "private_names", "a name pattern as a string")) {
      if (Result<NamePattern> pattern = NamePattern::parse(item->text)) {
        host_.policy.private_names.push_back(
            {Endpoint{*std::move(pattern), PortSet::all(), true, item->text}, config_.origin_of(item->position)});
      } else {
        config_.error(item->position, pattern.error().what);
      }
    }
  }

  void read_log(const ConfigNode& node) {
    if (!config_.is_table(node, "log")) return;
    const KeyReader keys[] = {
        {"log_names",
         [&](const ConfigNode& value) {
           choose(value, "log_names", {"all", "refused", "none"}, host_.settings.log_names);
         }},
        {"level",
         [&](const ConfigNode& value) {
           choose(value, "level", {"debug", "info", "warning", "error"}, host_.settings.log_level);
         }},
    };
    config_.read_table(node, {"[log]", keys, {}, {}, ""});
  }

  void read_metrics(const ConfigNode& node) {
    if (!config_.is_table(node, "metrics")) return;
    const auto read_listen = [&](const ConfigNode& value) {
      const std::string* text = config_.read_string(value, "listen");
      if (text == nullptr) return;
      host_.settings.metrics_listen = parse_loopback_listener(*text);
      if (host_.settings.metrics_listen) return;
      config_.error(value.position, "`listen` is " + quoted(*text) +
                                        "; accepted: a loopback address with a port, such as \"127.0.0.1:9464\" or "
                                        "\"[::1]:9464\"");
    };
    const KeyReader keys[] = {{"listen", read_listen}};
    config_.read_table(node, {"[metrics]", keys, {}, {}, ""});
  }

  void read_daemon(const ConfigNode& node) {
    if (!config_.is_table(node, "daemon")) return;
    HostSettings& settings = host_.settings;
    const KeyReader keys[] = {
        {"spare_children",
         [&](const ConfigNode& value) {
           read_count(value, "spare_children", 0, kMaxSpareChildren, settings.spare_children);
         }},
        {"max_workloads",
         [&](const ConfigNode& value) {
           read_count(value, "max_workloads", 1, kMaxWorkloads, settings.max_workloads);
         }},
        {"probe_interval", [&](const ConfigNode& value) { read_probe_interval(value); }},
        {"group", [&](const ConfigNode& value) { read_group(value); }},
    };
    config_.read_table(node, {"[daemon]", keys, {}, {}, ""});
  }

  void read_proxy(const ConfigNode& node) {
    if (!config_.is_table(node, "proxy")) return;
    const KeyReader keys[] = {{"cache", [&](const ConfigNode& value) { read_cache(value); }}};
    config_.read_table(node, {"[proxy]", keys, {}, {}, ""});
  }

  void read_restrict(const ConfigNode& node) {
    if (!config_.is_table(node, "restrict")) return;
    RestrictSettings& settings = host_.settings.restrict;
    const auto count = [&](std::string_view key, std::int64_t max, std::uint32_t& value) {
      return KeyReader{key, [this, key, max, &value](const ConfigNode& item) { read_count(item, key, 1, max, value); }};
    };
    const KeyReader keys[] = {
        {"enabled",
         [&](const ConfigNode& value) {
           settings.enabled = config_.read_boolean(value, "enabled").value_or(settings.enabled);
         }},
        count("per_user", kMaxRestrictions, settings.per_user),
        count("per_workload", kMaxRestrictions, settings.per_workload),
        count("total", kMaxRestrictions, settings.total),
        count("depth", kMaxRestrictDepth, settings.depth),
        count("per_second", kMaxRestrictRate, settings.per_second),
    };
    config_.read_table(node, {"[restrict]", keys, {}, {}, ""});
  }

  void read_cache(const ConfigNode& node) {
    std::optional<std::uint64_t> size;
    if (node.kind == ConfigNode::Kind::kString) size = parse_byte_size(node.text);
    if (node.kind == ConfigNode::Kind::kInteger && node.integer == 0) size = 0;
    if (size && (*size == 0 || (*size >= kMinCache && *size <= kMaxCache))) {
      host_.settings.proxy_cache_bytes = *size;
    } else {
      config_.error(node.position, "`cache` is " + found(node) +
                                       "; accepted: \"64KiB\" to \"1GiB\" with the units KiB, MiB, GiB, such as "
                                       "\"8MiB\", or 0 for no cache");
    }
  }

  void read_probe_interval(const ConfigNode& node) {
    const std::optional<Nanoseconds> interval = config_.read_duration(node, "probe_interval");
    if (!interval) return;
    if (*interval != Nanoseconds(0) && *interval < std::chrono::seconds(1)) {
      config_.error(node.position,
                    "`probe_interval` is " + found(node) + "; accepted: at least \"1s\", or \"0s\" for no live proofs");
      return;
    }
    host_.settings.probe_interval = *interval;
  }

  void read_group(const ConfigNode& node) {
    const std::string* name = config_.read_string(node, "group");
    if (name == nullptr) return;
    if (is_group_name(*name)) {
      host_.settings.group = *name;
    } else {
      config_.error(node.position, "`group` is " + quoted(*name) + "; accepted: the name or number of a group");
    }
  }

  void read_count(const ConfigNode& node, std::string_view key, std::int64_t min, std::int64_t max,
                  std::uint32_t& count) {
    if (const auto read = config_.read_integer(node, key, min, max)) count = static_cast<std::uint32_t>(*read);
  }

  // Words in the order of the enumeration's values.
  template <typename Enum>
  void choose(const ConfigNode& node, std::string_view key, std::initializer_list<std::string_view> words,
              Enum& value) {
    if (const auto index = config_.read_choice(node, key, words)) value = static_cast<Enum>(*index);
  }

  ConfigReader& config_;
  const LoadContext& context_;
  HostFile host_;
};

}  // namespace

Loaded<HostFile> load_host_file(std::string_view text, Format format, std::string_view file_name,
                                const LoadContext& context) {
  return load_config<HostFile>(text, format, file_name, [&](ConfigReader& config, const ConfigNode& root) {
    return HostReader(config, context).read(root);
  });
}

Loaded<HostPolicy> load_host_policy(std::string_view text, Format format, std::string_view file_name,
                                    const LoadContext& context) {
  Loaded<HostFile> file = load_host_file(text, format, file_name, context);
  return {std::move(file.value.policy), std::move(file.diagnostics)};
}

}  // namespace namewall
