#include "policy/canonical_form.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "policy/duration.h"

namespace namewall {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const ResolverAddress& resolver) {
  const std::string address = resolver.address.to_string();
  if (resolver.port == Port{53}) return address;
  const std::string port = ":" + std::to_string(resolver.port.number);
  return resolver.address.is_v4() ? address + port : "[" + address + "]" + port;
}

Json rules_of(const std::vector<Rule>& rules) {
  Json list = Json::array();
  for (const Rule& rule : rules) list.push_back(to_canonical_string(rule.endpoint));
  return list;
}

Json dns_of(const DnsSettings& dns) {
  Json resolvers = Json::array();
  if (dns.resolvers_from_system) resolvers.push_back("system");
  for (const ResolverAddress& resolver : dns.resolvers) resolvers.push_back(text_of(resolver));
  Json search = Json::array();
  if (dns.search_from_system) search.push_back("system");
  for (const DomainName& domain : dns.search) search.push_back(domain.text());
  Json out;
  out["learn"] = dns.learn ? word_of(*dns.learn) : "auto";
  out["resolvers"] = resolvers;
  out["search"] = search;
  out["min_ttl"] = format_duration(dns.min_ttl);
  out["max_ttl"] = format_duration(dns.max_ttl);
  out["grace"] = format_duration(dns.grace);
  out["retain"] = word_of(dns.retain);
  out["max_addresses"] = dns.max_addresses;
  out["refuse_with"] = word_of(dns.refuse_with);
  out["resolve"] = dns.resolve == Resolve::kAgent ? "agent" : "workload";
  out["hints"] = dns.hints == Hints::kStrip ? "strip" : "teach";
  out["ech"] = dns.ech == Ech::kStrip ? "strip" : "keep";
  out["cache"] = dns.cache;
  out["bounds"] = {{"in_flight", dns.bounds.in_flight},
                   {"per_second", dns.bounds.per_second},
                   {"fresh_per_second", dns.bounds.fresh_per_second},
                   {"connections", dns.bounds.connections},
                   {"idle", format_duration(dns.bounds.idle)}};
  return out;
}

// The one description of the canonical form; TOML and JSON are two ways to write it.
Json tree_of(const Policy& policy) {
  Json out;
  if (!policy.name.empty()) out["name"] = policy.name;
  if (!policy.cgroups.empty()) out["cgroup"] = policy.cgroups;
  out["unarmed_children"] = word_of(policy.unarmed_children);
  if (!policy.guard_shared.empty()) out["guard_shared"] = policy.guard_shared;
  if (policy.backend) out["backend"] = word_of(*policy.backend);
  out["mode"] = word_of(policy.mode);
  if (!policy.allow.empty()) out["allow"] = rules_of(policy.allow);
  if (!policy.deny.empty()) out["deny"] = rules_of(policy.deny);
  Json listen = Json::array();
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    const std::string ports = policy.listen.list_of(protocol);
    if (!ports.empty()) listen.push_back(to_string(protocol) + ":" + ports);
  }
  if (!listen.empty()) out["listen"] = listen;
  out["loopback"] = word_of(policy.loopback);
  out["cut_unattributed"] = policy.cut_unattributed;
  out["dns"] = dns_of(policy.dns);
  for (const Expectation& expectation : policy.expect) {
    out["expect"].push_back({{"target", expectation.target}, {"allowed", expectation.allowed}});
  }
  return out;
}

// JSON's escapes are TOML's as well, DEL apart.
std::string toml_of(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  for (std::size_t at = text.find('\x7f'); at != std::string::npos; at = text.find('\x7f', at)) {
    text.replace(at, 1, "\\u007f");
  }
  return text;
}

// `path`: of the table, "" or "dns.". A table within comes behind its other keys.
void append_toml(std::string& out, const Json& table, const std::string& path) {
  for (const auto& [key, value] : table.items()) {
    if (value.is_object()) {
      out += "\n[" + path + key + "]\n";
      append_toml(out, value, path + key + ".");
    } else if (value.is_array() && !value.empty() && value.front().is_object()) {
      for (const Json& item : value) {
        out += "\n[[" + path + key + "]]\n";
        append_toml(out, item, path + key + ".");
      }
    } else if (value.is_array() && value.size() > 1) {
      out += key + " = [\n";
      for (const Json& item : value) out += "  " + toml_of(item) + ",\n";
      out += "]\n";
    } else {
      out += key + " = " + toml_of(value) + "\n";
    }
  }
}

}  // namespace

std::string to_canonical_toml(const Policy& policy) {
  std::string out;
  append_toml(out, tree_of(policy), "");
  return out;
}

std::string to_canonical_json(const Policy& policy) {
  return tree_of(policy).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string_view word_of(Backend backend) { return backend == Backend::kNft ? "nft" : "bpf"; }

std::string_view word_of(Mode mode) { return mode == Mode::kAudit ? "audit" : "enforce"; }

std::string_view word_of(UnarmedChildren unarmed_children) {
  return unarmed_children == UnarmedChildren::kRefuse ? "refuse" : "watch";
}

std::string_view word_of(Loopback loopback) {
  switch (loopback) {
    case Loopback::kNone:
      return "none";
    case Loopback::kOwn:
      return "own";
    case Loopback::kAny:
      return "any";
  }
  return "none";
}

std::string_view word_of(Learn learn) { return learn == Learn::kProxy ? "proxy" : "kernel"; }

std::string_view word_of(Retain retain) {
  switch (retain) {
    case Retain::kTtl:
      return "ttl";
    case Retain::kWorkload:
      return "workload";
    case Retain::kUntilNextAnswer:
      return "until-next-answer";
  }
  return "ttl";
}

std::string_view word_of(RefuseWith refuse_with) {
  switch (refuse_with) {
    case RefuseWith::kNxdomain:
      return "nxdomain";
    case RefuseWith::kRefused:
      return "refused";
    case RefuseWith::kNodata:
      return "nodata";
  }
  return "nxdomain";
}

}  // namespace namewall
