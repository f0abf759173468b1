#include "agent/run_policy.h"

#include <set>
#include <utility>

#include "agent/backend_fit.h"
#include "agent/policy_context.h"
#include "agent/policy_sources.h"
#include "policy/overlap.h"

namespace namewall::agent {
namespace {

template <typename T>
std::optional<T> take(Result<Loaded<T>> loaded, std::vector<std::string>& messages) {
  if (!loaded) {
    messages.push_back(loaded.error().message());
    return std::nullopt;
  }
  for (const Diagnostic& diagnostic : loaded->diagnostics) messages.push_back(diagnostic.to_string());
  if (!loaded->ok()) return std::nullopt;
  return std::move(loaded->value);
}

Result<Loaded<Policy>> load_own_policy(const RunPolicySources& sources, const LoadContext& context) {
  if (sources.policy_file.empty()) return load_policy_arguments(sources.allow, sources.deny, context);
  return load_policy_file(sources.policy_file, context);
}

// What the host takes from the policy: warnings alone, for what is denied stays denied.
void tell_conflicts(const Policy& policy, const HostPolicy& host, const std::vector<ResolverAddress>& resolvers,
                    std::vector<std::string>& messages) {
  std::set<std::string> without_host;
  for (const Diagnostic& found : check_overlap({policy, {}, {}, resolvers, {}})) without_host.insert(found.to_string());
  for (Diagnostic& found : check_overlap({policy, host, {}, resolvers, {}})) {
    if (without_host.contains(found.to_string())) continue;
    found.severity = Diagnostic::Severity::kWarning;
    messages.push_back(found.to_string());
  }
}

}  // namespace

LoadedRunPolicy load_run_policy(const RunPolicySources& sources) {
  LoadedRunPolicy result;
  const std::optional<HostPolicy> host = take(load_host_policy_file(sources.host_file), result.messages);
  const PolicyContext context = PolicyContext::read(host.value_or(HostPolicy{}));
  std::optional<Policy> policy = take(load_own_policy(sources, context.get()), result.messages);
  const Result<ResolvConf> system = read_system_resolv_conf();
  if (!system) result.messages.push_back(system.error().message());
  if (!policy || !host || !system) return result;
  if (sources.audit) policy->mode = Mode::kAudit;
  if (sources.backend) policy->backend = sources.backend;
  Result<PolicyImage> image = compile_policy(*policy, *host, *system);
  if (!image) {
    result.messages.push_back(image.error().message());
    return result;
  }
  if (auto chosen = fit_to_backend(*image, sources.kernel_can_learn); !chosen) {
    result.messages.push_back(chosen.error().message());
    return result;
  }
  tell_conflicts(*policy, *host, image->resolvers, result.messages);
  result.loaded = RunPolicy{std::move(*policy), std::move(*image)};
  return result;
}

}  // namespace namewall::agent
