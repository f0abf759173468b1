#include "agent/host/saved_folder.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "agent/host/group_change.h"
#include "agent/host/sha256.h"
#include "policy/group_file.h"
#include "policy/host_loader.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

// nullptr: not usable.
std::shared_ptr<const HostVersion> host_of(const std::string& text, const LoadContext& shipped) {
  HostVersion version;
  if (text.empty()) return std::make_shared<const HostVersion>(std::move(version));
  Loaded<HostFile> loaded = load_host_file(text, format_of("", text), "host.toml", shipped);
  Result<std::string> sha256 = sha256_of(text);
  if (!loaded.ok() || !sha256) return nullptr;
  version.file = std::move(loaded.value);
  version.text = text;
  version.text_sha256 = *std::move(sha256);
  return std::make_shared<const HostVersion>(std::move(version));
}

std::optional<PolicyFileStatus> status_of(const SavedFile& saved, const HostPolicy& host, const ResolvConf& system,
                                          BootTime now) {
  const Loaded<Policy> loaded = load_policy(saved.policy_text, format_of("", saved.policy_text), saved.file);
  if (!loaded.ok()) return std::nullopt;
  auto version = compile_version(saved.file, loaded.value, host, system);
  if (!version) return std::nullopt;
  PolicyFileStatus status;
  status.file = saved.file;
  status.state = FileState::kInForce;
  status.in_force = *std::move(version);
  status.since = now;
  return status;
}

bool is_used(const FolderSnapshot& folder, const std::string& group) {
  return std::any_of(folder.files.begin(), folder.files.end(), [&](const PolicyFileStatus& file) {
    return file.in_force &&
           (uses_group(file.in_force->policy.allow, group) || uses_group(file.in_force->policy.deny, group));
  });
}

Group group_of(const SavedGroup& saved) {
  Group group{saved.name, saved.version, {}, {}};
  for (const std::string& text : saved.endpoints) {
    if (Result<Endpoint> endpoint = parse_endpoint(text, EndpointUse::kAllow)) {
      group.rules.push_back({*std::move(endpoint), {}, ""});
    }
  }
  return group;
}

}  // namespace

SavedFolder saved_form_of(const FolderSnapshot& folder, const LiftedPlaces& lifted) {
  SavedFolder saved;
  if (folder.host.in_force) saved.host_text = folder.host.in_force->text;
  for (const PolicyFileStatus& file : folder.files) {
    if (file.in_force) saved.files.push_back({file.file, file.in_force->canonical_text});
  }
  for (const Group& group : folder.groups) {
    if (find_group(folder.groups, group.name) != &group || !is_used(folder, group.name)) continue;
    SavedGroup kept{group.name, group.version, {}};
    for (const Rule& rule : group.rules) kept.endpoints.push_back(to_canonical_string(rule.endpoint));
    saved.groups.push_back(std::move(kept));
  }
  for (const auto& [cgroup, place] : lifted.by_cgroup()) {
    saved.lifted.push_back({cgroup, place.policy, place.policy_sha256});
  }
  return saved;
}

FolderSnapshot restore_folder(const SavedFolder& saved, const ResolvConf& system, BootTime now,
                              std::vector<std::string>& sentences, const LoadContext& shipped) {
  FolderSnapshot folder;
  folder.system = system;
  if (!saved.host_text) return folder;
  folder.host.in_force = host_of(*saved.host_text, shipped);
  if (!folder.host.in_force) {
    // Without it nothing could be compiled as it was.
    sentences.emplace_back("the saved host.toml is not usable any more: no saved policy is");
    return folder;
  }
  folder.host.since = now;
  for (const SavedGroup& group : saved.groups) folder.groups.push_back(group_of(group));
  for (const SavedFile& file : saved.files) {
    if (auto status = status_of(file, folder.host.in_force->file.policy, system, now)) {
      folder.files.push_back(*std::move(status));
    } else {
      sentences.push_back("the saved policy of " + file.file + " is not usable any more");
    }
  }
  return folder;
}

LiftedPlaces restore_lifted(const SavedFolder& saved) {
  std::map<std::string, LiftedPlace> by_cgroup;
  for (const SavedLift& lift : saved.lifted) by_cgroup[lift.cgroup] = {lift.policy, lift.policy_sha256};
  return LiftedPlaces(std::move(by_cgroup));
}

}  // namespace namewall::agent
