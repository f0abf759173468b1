// What `namewall import` makes of a policy of another system: native rules, each with the place that asked for it, and
// what has no native form. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/policy.h"

namespace namewall::agent {

struct ImportedRule {
  std::string endpoint;  // native, as in `allow` or `deny`
  std::string path;      // in the document: "egress[0].toFQDNs[1].matchName"
  Origin origin;
};

struct ImportRemark {
  std::string path;
  std::string sentence;
  Origin origin;
};

struct ImportedPolicy {
  std::string name;    // as a native policy has it; "" becomes "imported"
  std::string source;  // "CiliumNetworkPolicy `api` of api.yaml": for a comment
  std::vector<ImportedRule> allow, deny;
  std::vector<std::string> resolvers;   // of [dns]; none: the host's
  std::vector<ImportRemark> notes;      // where the policy is narrower, or says nothing of what the document says
  std::vector<ImportRemark> refused;    // what cannot be expressed: there is no policy then
  std::vector<std::string> extra_toml;  // whole lines above the rules, such as `loopback = "any"`
  bool ok() const { return refused.empty(); }
};

// 1 to 63 characters that a policy's name may have, out of any name.
std::string to_policy_name(std::string_view name);

// A policy file, each rule with a comment that says where it comes from. Only of an `ok()` policy.
std::string to_toml(const ImportedPolicy& policy);
// {"ok", "name", "source", "policy": the same file as text, "allow", "deny", "notes", "refused"}
std::string to_json(const ImportedPolicy& policy);
// Whether to_toml(policy) is a policy without mistakes; the first one is refused otherwise.
void refuse_unless_it_loads(ImportedPolicy& policy);
// "api.yaml:12:7: note: egress[0].icmps: ...", a line each.
std::string to_text_lines(const std::vector<ImportRemark>& remarks, std::string_view severity);

}  // namespace namewall::agent
