// What `namewall check` says of one policy file. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cgroup_check.h"
#include "agent/expanded_rules.h"
#include "policy/policy_image.h"
#include "policy/policy_loader.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

struct PolicyCheck {
  std::string file;
  std::vector<Diagnostic> diagnostics;
  std::optional<Policy> policy;  // without errors
  Backend backend = Backend::kBpf;
  std::vector<std::string> limits;  // of the backend (backend_fit.h)
  std::string dns_path;             // "kernel" or "proxy"; "" with errors
  std::string dns_reason;           // why that one
  std::vector<ResolverAddress> resolvers;
  std::vector<DomainName> agent_names;   // that the agent looks up
  std::vector<std::string> host_limits;  // a line each (host_rules.h)
  CgroupChecks cgroups;
  std::vector<ExpandedRule> expanded;  // as far as the caller fills it
  bool ok() const { return policy.has_value(); }
};

// Beside what the loader finds: bounds that only the compiled policy shows, and names that an earlier file has
// (`origins_of_names` grows).
PolicyCheck check_policy(const std::string& file, Loaded<Policy> loaded, const HostPolicy& host,
                         const ResolvConf& system, std::map<std::string, Origin>& origins_of_names,
                         std::optional<bool> kernel_can_learn = std::nullopt);

// Once all files are checked: patterns that two policies share become errors of both, and the others learn how their
// cgroups are held on a host with these `existing` ones.
void check_cgroups_together(std::vector<PolicyCheck>& checks,
                            const std::optional<std::vector<ExistingCgroup>>& existing);

// What the policies, the host's and each other take from one another: diagnostics of check_overlap(). Their parents are
// among them.
void check_overlaps(std::vector<PolicyCheck>& checks, const HostPolicy& host,
                    const std::function<bool(std::string_view)>& is_public_suffix);

// Every warning becomes an error.
void make_strict(std::vector<PolicyCheck>& checks);

// The canonical policy under comments with the rest; "" with errors.
// `expanded`: with the rules that groups brought.
std::string to_text(const PolicyCheck& check, bool expanded = false);
// {"ok": ..., "files": [...]}; `host_diagnostics` are those of host.toml.
std::string to_json(const std::vector<PolicyCheck>& checks, const std::vector<Diagnostic>& host_diagnostics);

}  // namespace namewall::agent
