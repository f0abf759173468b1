#include "agent/run_policy.h"

#include <utility>

#include "agent/backend_fit.h"
#include "agent/policy_context.h"
#include "agent/policy_sources.h"

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
  result.loaded = RunPolicy{std::move(*policy), std::move(*image)};
  return result;
}

}  // namespace namewall::agent
