#include "policy/rule_table.h"

#include <algorithm>
#include <optional>

#include "policy/domain_name.h"
#include "policy/service_list.h"
#include "policy/suggestion.h"

namespace namewall {
namespace {

constexpr std::string_view kProtocolWords[] = {"tcp", "udp", "*", "icmp"};
enum class Word { kTcp, kUdp, kBoth, kIcmp };  // as kProtocolWords

class RuleTable {
 public:
  RuleTable(ConfigReader& config, EndpointUse use, const LoadContext& context)
      : config_(config), use_(use), context_(context) {}

  std::vector<std::string> read(const ConfigNode& table) {
    const KeyReader keys[] = {
        {"host", [&](const ConfigNode& node) { read_host(node); }},
        {"service", [&](const ConfigNode& node) { service_ = &node; }},
        {"port", [&](const ConfigNode& node) { port_ = &node; }},
        {"ports", [&](const ConfigNode& node) { ports_ = &node; }},
        {"protocol",
         [&](const ConfigNode& node) {
           if (const auto index = config_.read_choice(node, "protocol", kProtocolWords)) {
             protocol_ = static_cast<Word>(*index);
           } else {
             is_broken_ = true;
           }
         }},
        {"private", [&](const ConfigNode& node) { read_private(node); }},
        {"resolve", [&](const ConfigNode& node) { read_resolve(node); }},
    };
    const bool has_stranger = std::any_of(table.entries.begin(), table.entries.end(), [&](const ConfigEntry& entry) {
      return std::none_of(std::begin(keys), std::end(keys), [&](const auto& key) { return key.key == entry.key; });
    });
    config_.read_table(table, {"a rule", keys, {}, {}, ""});
    if (host_ == nullptr && !is_broken_) refuse(table, "a rule names its `host`");
    const std::vector<std::string> places = places_of(table);
    if (is_broken_ || has_stranger) return {};
    std::vector<std::string> endpoints;
    for (const std::string& place : places) endpoints.push_back(place + options_);
    return endpoints;
  }

 private:
  void refuse(const ConfigNode& node, std::string message) {
    config_.error(node.position, std::move(message));
    is_broken_ = true;
  }

  // Nothing of a host can become a scheme, ports or an option of the endpoint that is made of it.
  void read_host(const ConfigNode& node) {
    host_ = config_.read_string(node, "host");
    if (host_ == nullptr) {
      is_broken_ = true;
      return;
    }
    const bool is_bracketed = host_->starts_with('[');
    const std::size_t from = is_bracketed ? std::min(host_->find(']'), host_->size()) : 0;
    if (host_->empty() || host_->find_first_of(":?#@", from) != std::string::npos) {
      refuse(node, "`host` is " + found(node) +
                       "; accepted: a name, a pattern, an address, [an IPv6 address] or a prefix alone: `service`, "
                       "`port`, `ports`, `protocol`, `private` and `resolve` are keys of their own");
    }
  }

  void read_private(const ConfigNode& node) {
    const std::optional<bool> is_private = config_.read_boolean(node, "private");
    if (!is_private) is_broken_ = true;
    if (is_private.value_or(false)) add_option("private");
  }

  void read_resolve(const ConfigNode& node) {
    constexpr std::string_view kWords[] = {"workload", "agent"};
    const auto index = config_.read_choice(node, "resolve", kWords);
    if (!index) is_broken_ = true;
    if (index == 1u) add_option("resolve=agent");
  }

  void add_option(std::string_view option) { options_ += (options_.empty() ? "?" : "&") + std::string(option); }

  // "tcp://host:5432": scheme, host and ports, once the keys are read.
  std::vector<std::string> places_of(const ConfigNode& table) {
    const std::string host = host_ == nullptr ? "" : *host_;
    const int places = (service_ != nullptr) + (port_ != nullptr) + (ports_ != nullptr);
    if (places > 1) {
      refuse(table, "a rule has one of `service`, `port` and `ports`, not several");
      return {};
    }
    if (protocol_ == Word::kIcmp) {
      if (places > 0) refuse(table, "`protocol = \"icmp\"` has no ports (it is echo, ping)");
      return {"icmp://" + host};
    }
    if (service_ != nullptr) return places_of_service(host);
    if (port_ != nullptr) {
      const auto number = config_.read_integer(*port_, "port", 1, 65'535);
      if (!number) is_broken_ = true;
      return {scheme_of(protocol_.value_or(Word::kTcp)) + host + ":" + std::to_string(number.value_or(0))};
    }
    if (ports_ != nullptr) {
      const std::string* list = config_.read_string(*ports_, "ports");
      if (list == nullptr) is_broken_ = true;
      if (list != nullptr) check_ports(*list);
      return {scheme_of(protocol_.value_or(Word::kTcp)) + host + ":" + (list == nullptr ? "" : *list)};
    }
    if (use_ == EndpointUse::kDeny && !protocol_) return {host};  // every protocol and port
    refuse(table, "a rule says one of `service`, `port` and `ports`; for every port write `ports = \"*\"`");
    return {};
  }

  void check_ports(const std::string& list) {
    constexpr Protocol kOne[] = {Protocol::kTcp};
    if (const Result<PortSet> ports = parse_ports(list, kOne); !ports)
      refuse(*ports_, "`ports`: " + ports.error().what);
  }

  static std::string scheme_of(Word word) {
    return std::string(kProtocolWords[static_cast<std::size_t>(word)]) + "://";
  }

  std::vector<std::string> places_of_service(const std::string& host) {
    const std::string* name = config_.read_string(*service_, "service");
    if (name == nullptr) {
      is_broken_ = true;
      return {};
    }
    const std::span<const Service> entries = find_services(context_.services, *name);
    if (entries.empty()) {
      refuse_service(*name);
      return {};
    }
    const auto ports_of = [&](Protocol protocol) {
      std::vector<PortRange> ranges;
      for (const Service& entry : entries) {
        if (entry.protocol == protocol) ranges.push_back({protocol, entry.port, entry.port});
      }
      return PortSet(std::move(ranges)).list_of(protocol);
    };
    const std::string tcp = ports_of(Protocol::kTcp);
    const std::string udp = ports_of(Protocol::kUdp);
    const Word word = protocol_.value_or(tcp.empty() ? Word::kUdp : Word::kTcp);
    const bool wants_tcp = word != Word::kUdp && !tcp.empty();
    const bool wants_udp = word != Word::kTcp && !udp.empty();
    if (!wants_tcp && !wants_udp) {
      const std::string known = tcp.empty() ? "udp" : "tcp";
      refuse(*service_, "the service " + quoted(*name) + " is registered for " + known + " (port " +
                            (tcp.empty() ? udp : tcp) + ") and not for the `protocol` of this rule");
      return {};
    }
    if (wants_tcp && wants_udp && tcp == udp) return {scheme_of(Word::kBoth) + host + ":" + tcp};
    std::vector<std::string> places;
    if (wants_tcp) places.push_back(scheme_of(Word::kTcp) + host + ":" + tcp);
    if (wants_udp) places.push_back(scheme_of(Word::kUdp) + host + ":" + udp);
    return places;
  }

  void refuse_service(const std::string& name) {
    if (context_.services.empty()) {
      refuse(*service_, "the service " + quoted(name) +
                            " is unknown: this host lists none (/etc/services, of the package netbase); write `port`");
      return;
    }
    std::vector<std::string_view> names;
    for (const Service& service : context_.services) names.push_back(service.name);
    const auto nearest = suggest(name, names);
    refuse(*service_, "unknown service " + quoted(name) +
                          (nearest ? "; did you mean `" + std::string(*nearest) + "`?"
                                   : "; accepted: the names of /etc/services, or `port`"));
  }

  ConfigReader& config_;
  EndpointUse use_;
  const LoadContext& context_;
  const std::string* host_ = nullptr;
  const ConfigNode* service_ = nullptr;
  const ConfigNode* port_ = nullptr;
  const ConfigNode* ports_ = nullptr;
  std::optional<Word> protocol_;
  std::string options_;
  bool is_broken_ = false;
};

}  // namespace

std::vector<std::string> read_rule_table(ConfigReader& config, const ConfigNode& table, EndpointUse use,
                                         const LoadContext& context) {
  return RuleTable(config, use, context).read(table);
}

}  // namespace namewall
