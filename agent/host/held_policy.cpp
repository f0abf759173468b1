#include "agent/host/held_policy.h"

#include <utility>

#include "bpf/host_enforcer.h"
#include "policy/host_rules.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

HeldPolicyPtr make_held(std::shared_ptr<const PolicyVersion> version, std::shared_ptr<const HostVersion> host) {
  auto held = std::make_shared<HeldPolicy>();
  held->version = std::move(version);
  held->host = host ? std::move(host) : std::make_shared<const HostVersion>();
  held->image_hash = hash_of(*held->image());
  return held;
}

std::string errors_of(const std::vector<Diagnostic>& diagnostics) {
  std::string lines;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (diagnostic.severity != Diagnostic::Severity::kError) continue;
    if (!lines.empty()) lines += '\n';
    lines += diagnostic.to_string();
  }
  return lines;
}

// Whoever writes a policy's text does not choose a name that the host exempts from its limits: the call does.
void take_exempt_name(Policy& policy, const HostPolicy& host, const std::string& own_name) {
  for (const ExemptName& exempt : exempt_names(host)) {
    if (exempt.name == policy.name) policy.name = own_name;
  }
}

template <typename Map>
void erase_expired(Map& map) {
  std::erase_if(map, [](const auto& entry) { return entry.second.expired(); });
}

}  // namespace

HeldPolicyPtr PolicyShelf::hold(std::shared_ptr<const PolicyVersion> version, std::shared_ptr<const HostVersion> host) {
  std::weak_ptr<const HeldPolicy>& place = by_version_[version.get()];
  // An expired place may be that of an earlier version at the same address.
  if (HeldPolicyPtr held = place.lock(); held && (held->host == host || !host)) return held;
  HeldPolicyPtr made = make_held(std::move(version), std::move(host));
  place = made;
  return made;
}

Result<HeldPolicyPtr> PolicyShelf::load(const std::string& text, const std::string& fallback_name,
                                        const std::shared_ptr<const HostVersion>& host, const ResolvConf& system,
                                        const LoadContext& context) {
  Loaded<Policy> loaded = load_policy(text, format_of("", text), fallback_name, fallback_name, context);
  if (!loaded.ok()) return fail(ErrorKind::kInvalid, errors_of(loaded.diagnostics));
  if (host) take_exempt_name(loaded.value, host->file.policy, fallback_name);
  return take(loaded.value, host, system);
}

Result<HeldPolicyPtr> PolicyShelf::load_own(const std::string& text, const std::shared_ptr<const HostVersion>& host,
                                            const ResolvConf& system) {
  Loaded<Policy> loaded = load_policy(text, format_of("", text), "", "");
  if (!loaded.ok()) return fail(ErrorKind::kInvalid, errors_of(loaded.diagnostics));
  return take(loaded.value, host, system);
}

Result<HeldPolicyPtr> PolicyShelf::take(const Policy& policy, const std::shared_ptr<const HostVersion>& host,
                                        const ResolvConf& system) {
  const HostPolicy no_host;
  auto version = compile_version("", policy, host ? host->file.policy : no_host, system);
  if (!version) return fail(ErrorKind::kInvalid, version.error().message());
  std::weak_ptr<const HeldPolicy>& place = by_sha256_[(*version)->planned.sha256];
  // The system's resolvers are in the image alone.
  HeldPolicyPtr held = place.lock();
  if (held && (held->host == host || !host) && *held->image() == *(*version)->image) return held;
  HeldPolicyPtr made = make_held(std::move(*version), host);
  place = made;
  return made;
}

void PolicyShelf::sweep() {
  erase_expired(by_version_);
  erase_expired(by_sha256_);
}

}  // namespace namewall::agent
