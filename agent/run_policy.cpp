#include "agent/run_policy.h"

#include "agent/text_file.h"
#include "policy/policy_loader.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {
namespace {

template <typename T>
std::optional<T> take(Loaded<T> loaded, std::vector<std::string>& messages) {
  for (const Diagnostic& diagnostic : loaded.diagnostics) messages.push_back(diagnostic.to_string());
  if (!loaded.ok()) return std::nullopt;
  return std::move(loaded.value);
}

std::optional<Policy> load_own_policy(const RunPolicySources& sources, std::vector<std::string>& messages) {
  if (sources.policy_file.empty()) return take(load_policy_arguments(sources.allow, sources.deny), messages);
  const Result<std::string> text = read_text_file(sources.policy_file);
  if (!text) {
    messages.push_back(text.error().message());
    return std::nullopt;
  }
  return take(load_policy(*text, format_of(sources.policy_file, *text), sources.policy_file), messages);
}

std::optional<HostPolicy> load_host(const std::string& host_file, std::vector<std::string>& messages) {
  const std::string path = host_file.empty() ? kDefaultHostPolicy : host_file;
  const Result<std::string> text = read_text_file(path);
  if (!text) {
    // Only where nobody has written one: a host policy that cannot be read is not an empty one.
    if (host_file.empty() && text.error().kind == ErrorKind::kNotFound) return HostPolicy{};
    messages.push_back(text.error().message());
    return std::nullopt;
  }
  return take(load_host_policy(*text, format_of(path, *text), path), messages);
}

// A host without the file has what glibc makes of an empty one.
std::optional<ResolvConf> load_resolv_conf(std::vector<std::string>& messages) {
  const Result<std::string> text = read_text_file("/etc/resolv.conf");
  if (!text && text.error().kind != ErrorKind::kNotFound) {
    messages.push_back(text.error().message());
    return std::nullopt;
  }
  return parse_resolv_conf(text ? *text : std::string());
}

}  // namespace

LoadedRunPolicy load_run_policy(const RunPolicySources& sources) {
  LoadedRunPolicy result;
  std::optional<Policy> policy = load_own_policy(sources, result.messages);
  const std::optional<HostPolicy> host = load_host(sources.host_file, result.messages);
  const std::optional<ResolvConf> system = load_resolv_conf(result.messages);
  if (!policy || !host || !system) return result;
  if (sources.audit) policy->mode = Mode::kAudit;
  Result<PolicyImage> image = compile_policy(*policy, *host, *system);
  if (!image) {
    result.messages.push_back(image.error().message());
    return result;
  }
  result.loaded = RunPolicy{std::move(*policy), std::move(*image)};
  return result;
}

}  // namespace namewall::agent
