// A policy that is ready to be armed, together with the host policy that it was compiled with; made once and shared by
// all workloads that it holds.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "agent/host/folder_snapshot.h"
#include "policy/result.h"

namespace namewall::agent {

struct HeldPolicy {
  std::shared_ptr<const PolicyVersion> version;
  std::shared_ptr<const HostVersion> host;  // never null
  std::uint64_t image_hash = 0;             // hash_of(*image())

  const std::string& name() const { return version->planned.name; }
  const std::string& file() const { return version->planned.file; }  // "" of a policy by call
  const std::string& sha256() const { return version->planned.sha256; }
  const Policy& policy() const { return version->policy; }
  const HostPolicy& host_policy() const { return host->file.policy; }
  const std::shared_ptr<const PolicyImage>& image() const { return version->image; }
  std::uint32_t rules() const { return static_cast<std::uint32_t>(policy().allow.size() + policy().deny.size()); }
};

using HeldPolicyPtr = std::shared_ptr<const HeldPolicy>;

// Keeps one HeldPolicy for each version of the folder, and one for equal policies by call.
class PolicyShelf {
 public:
  HeldPolicyPtr hold(std::shared_ptr<const PolicyVersion> version, std::shared_ptr<const HostVersion> host);
  // A policy by call: TOML or JSON text. One without a name, or with one that the host exempts from a limit, is called
  // `fallback_name`. kInvalid: every mistake, a line each. `context`: what the text may refer to; texts in canonical
  // form need none.
  Result<HeldPolicyPtr> load(const std::string& text, const std::string& fallback_name,
                             const std::shared_ptr<const HostVersion>& host, const ResolvConf& system,
                             const LoadContext& context = {});
  // The text of a restriction as the daemon wrote it: its name is that of the policy above it, exempt as that one is.
  Result<HeldPolicyPtr> load_own(const std::string& text, const std::shared_ptr<const HostVersion>& host,
                                 const ResolvConf& system);
  Result<HeldPolicyPtr> take(const Policy& policy, const std::shared_ptr<const HostVersion>& host,
                             const ResolvConf& system);
  // Forgets those that no workload uses any more.
  void sweep();

 private:
  std::unordered_map<const PolicyVersion*, std::weak_ptr<const HeldPolicy>> by_version_;
  std::map<std::string, std::weak_ptr<const HeldPolicy>> by_sha256_;  // by call
};

}  // namespace namewall::agent
