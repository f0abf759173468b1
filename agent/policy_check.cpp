#include "agent/policy_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/backend_fit.h"
#include "agent/expectations.h"
#include "policy/host_rules.h"
#include "policy/overlap.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

std::string count_of(std::size_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

bool names_names(const Policy& policy) {
  return std::any_of(policy.allow.begin(), policy.allow.end(),
                     [](const Rule& rule) { return !std::holds_alternative<Prefix>(rule.endpoint.host); });
}

std::string text_of(const ResolverAddress& resolver) {
  const std::string address = resolver.address.to_string();
  const std::string host = resolver.address.is_v4() ? address : "[" + address + "]";
  return host + ":" + std::to_string(resolver.port.number);
}

Json json_of(const std::vector<Diagnostic>& diagnostics) {
  Json list = Json::array();
  for (const Diagnostic& diagnostic : diagnostics) {
    Json item;
    item["severity"] = diagnostic.severity == Diagnostic::Severity::kError ? "error" : "warning";
    item["file"] = diagnostic.origin.file;
    item["line"] = diagnostic.origin.line;
    item["column"] = diagnostic.origin.column;
    item["message"] = diagnostic.message;
    list.push_back(item);
  }
  return list;
}

Json json_of(const PolicyCheck& check) {
  Json out;
  out["file"] = check.file;
  out["ok"] = check.ok();
  out["diagnostics"] = json_of(check.diagnostics);
  if (!check.ok()) return out;
  Json resolvers = Json::array();
  for (const ResolverAddress& resolver : check.resolvers) resolvers.push_back(text_of(resolver));
  Json agent_names = Json::array();
  for (const DomainName& name : check.agent_names) agent_names.push_back(name.text());
  out["backend"] = {{"name", word_of(check.backend)}, {"cannot", check.limits}};
  out["dns"] = {{"path", check.dns_path},
                {"why", check.dns_reason},
                {"tcp_and_truncated", "proxy"},
                {"resolvers", resolvers},
                {"looked_up_by_agent", agent_names}};
  out["host_limits"] = check.host_limits;
  Json cgroups = Json::array();
  for (const CgroupCheck& one : check.cgroups.cgroups) {
    cgroups.push_back({{"pattern", one.pattern}, {"held", one.held}, {"meaning", one.meaning}});
  }
  out["cgroups"] = cgroups;
  if (check.cgroups.has_guard && check.cgroups.foreign) out["guard_would_hit"] = *check.cgroups.foreign;
  for (const ExpandedRule& rule : check.expanded) {
    out["expanded"].push_back({{"from", rule.from},
                               {"version", rule.version},
                               {"list", rule.list},
                               {"rule", rule.rule},
                               {"place", rule.place}});
  }
  out["policy"] = Json::parse(to_canonical_json(*check.policy), nullptr, false);
  return out;
}

std::string why_this_way(const Policy& policy, const PolicyImage& image) {
  if (!names_names(policy)) return "no rule of `allow` has a name: every question is refused";
  if (image.learn_is_written) return "the policy says so";
  return image.learn_why.empty() ? "nothing in the policy needs the proxy" : image.learn_why;
}

std::string why_this_backend(const Policy& policy, Backend backend) {
  if (policy.backend) return "the policy says so";
  return backend == Backend::kBpf ? "nothing says otherwise" : "host.toml says so";
}

std::string limit_lines(const std::vector<std::string>& limits) {
  std::string lines;
  for (const std::string& limit : limits) lines += "#   " + limit + "\n";
  return lines;
}

std::string host_limit_lines(const std::vector<std::string>& limits) {
  std::string lines;
  for (const std::string& limit : limits) lines += "# host: " + limit + "\n";
  return lines;
}

std::string agent_names_line(const std::vector<DomainName>& names) {
  if (names.empty()) return "";
  std::string list;
  for (const DomainName& name : names) list += (list.empty() ? "" : ", ") + name.text();
  return "# looked up by the agent: " + list + "\n";
}

}  // namespace

PolicyCheck check_policy(const std::string& file, Loaded<Policy> loaded, const HostPolicy& host,
                         const ResolvConf& system, std::map<std::string, Origin>& origins_of_names,
                         std::optional<bool> kernel_can_learn) {
  PolicyCheck check;
  check.file = file;
  check.diagnostics = std::move(loaded.diagnostics);
  if (has_error(check.diagnostics)) return check;
  const Policy& policy = loaded.value;
  const auto [first, is_new] = origins_of_names.try_emplace(policy.name, policy.origin);
  const auto refuse = [&](std::string message) {
    check.diagnostics.push_back({Diagnostic::Severity::kError, policy.origin, std::move(message)});
  };
  if (!is_new) refuse("`name` is \"" + policy.name + "\", as in " + first->second.file);
  Result<PolicyImage> image = compile_policy(policy, host, system);
  if (!image) {
    refuse(image.error().message());
  } else if (const auto chosen = fit_to_backend(*image, kernel_can_learn); !chosen) {
    refuse(chosen.error().message());
  }
  if (image) {
    for (Diagnostic& failure : failed_expectations(policy, host, *image))
      check.diagnostics.push_back(std::move(failure));
  }
  if (has_error(check.diagnostics)) return check;
  check.backend = image->backend;
  check.limits = limits_of_backend(policy, *image);
  check.host_limits = describe_host_limits(host, policy.name);
  check.dns_path = word_of(image->learn);
  check.dns_reason = why_this_way(policy, *image);
  check.resolvers = image->resolvers;
  check.agent_names = image->agent_names;
  check.policy = std::move(loaded.value);
  return check;
}

void check_cgroups_together(std::vector<PolicyCheck>& checks,
                            const std::optional<std::vector<ExistingCgroup>>& existing) {
  std::vector<PlannedPolicy> planned;
  std::vector<PolicyCheck*> of_planned;
  for (PolicyCheck& check : checks) {
    if (!check.ok()) continue;
    PlannedPolicy policy{
        check.policy->name, check.file, "", {}, check.policy->unarmed_children, check.backend == Backend::kNft};
    for (const std::string& text : check.policy->cgroups) {
      if (Result<CgroupPattern> pattern = CgroupPattern::parse(text)) policy.cgroups.push_back(*std::move(pattern));
    }
    planned.push_back(std::move(policy));
    of_planned.push_back(&check);
  }
  for (const PlanError& error : check_policies(planned)) {
    for (PolicyCheck* check : of_planned) {
      if (check->file != error.file && check->file != error.other_file) continue;
      check->diagnostics.push_back({Diagnostic::Severity::kError, {check->file, 1, 1}, error.sentence});
    }
  }
  for (std::size_t i = 0; i < planned.size(); ++i) {
    if (has_error(of_planned[i]->diagnostics)) {
      of_planned[i]->policy.reset();
    } else {
      of_planned[i]->cgroups = check_cgroups(planned[i], planned, existing);
    }
  }
}

void check_overlaps(std::vector<PolicyCheck>& checks, const HostPolicy& host,
                    const std::function<bool(std::string_view)>& is_public_suffix) {
  std::vector<const Policy*> policies;
  std::vector<PolicyCheck*> of_policies;
  for (PolicyCheck& check : checks) {
    if (!check.ok()) continue;
    policies.push_back(&*check.policy);
    of_policies.push_back(&check);
  }
  const std::vector<std::vector<const Policy*>> parents = find_parents(policies);
  std::vector<PolicyCheck*> failed;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    PolicyCheck& check = *of_policies[i];
    for (Diagnostic& found : check_overlap({*policies[i], host, parents[i], check.resolvers, is_public_suffix})) {
      check.diagnostics.push_back(std::move(found));
    }
    check.diagnostics = in_file_order(std::move(check.diagnostics));
    if (has_error(check.diagnostics)) failed.push_back(&check);
  }
  for (PolicyCheck* check : failed) check->policy.reset();  // not before: it may be the parent of others
}

void make_strict(std::vector<PolicyCheck>& checks) {
  for (PolicyCheck& check : checks) {
    for (Diagnostic& diagnostic : check.diagnostics) diagnostic.severity = Diagnostic::Severity::kError;
    if (!check.diagnostics.empty()) check.policy.reset();
  }
}

std::string to_text(const PolicyCheck& check, bool expanded) {
  if (!check.ok()) return "";
  std::string resolvers;
  for (const ResolverAddress& resolver : check.resolvers)
    resolvers += (resolvers.empty() ? "" : ", ") + text_of(resolver);
  const Policy& policy = *check.policy;
  return "# " + check.file + ": ok, allow " + count_of(policy.allow.size(), "rule") + ", deny " +
         count_of(policy.deny.size(), "rule") + "\n# backend: " + std::string(word_of(check.backend)) + " (" +
         why_this_backend(policy, check.backend) + ")\n" + limit_lines(check.limits) + "# dns: " + check.dns_path +
         " (" + check.dns_reason + ")\n# dns over TCP, and what is truncated: proxy (always)\n# resolvers: " +
         (resolvers.empty() ? "none" : resolvers) + "\n" + host_limit_lines(check.host_limits) +
         agent_names_line(check.agent_names) + to_comment(check.cgroups) +
         (expanded ? to_comment(check.expanded) : "") + to_canonical_toml(policy);
}

std::string to_json(const std::vector<PolicyCheck>& checks, const std::vector<Diagnostic>& host_diagnostics) {
  Json out;
  out["ok"] = !has_error(host_diagnostics) &&
              std::all_of(checks.begin(), checks.end(), [](const PolicyCheck& check) { return check.ok(); });
  out["host_diagnostics"] = json_of(host_diagnostics);
  out["files"] = Json::array();
  for (const PolicyCheck& check : checks) out["files"].push_back(json_of(check));
  return out.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace namewall::agent
