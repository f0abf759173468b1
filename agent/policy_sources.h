// The files that a policy comes from, read and loaded: the policy itself, host.toml, resolv.conf.
#pragma once

#include <string>

#include "policy/host_loader.h"
#include "policy/policy_loader.h"
#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall::agent {

inline constexpr const char* kHostPolicyPath = "/etc/namewall/host.toml";
inline constexpr const char* kResolvConfPath = "/etc/resolv.conf";

// The name of an input in messages: "-" is standard input.
std::string display_name(const std::string& path);
// The text of a file, or of standard input for "-".
Result<std::string> read_input(const std::string& path);

// An error: the file cannot be read. What is wrong inside is told by the diagnostics.
Result<Loaded<Policy>> load_policy_file(const std::string& path, const LoadContext& context = {});
// `path` "": kHostPolicyPath, and an empty policy where there is no such file.
Result<Loaded<HostPolicy>> load_host_policy_file(const std::string& path);

// What namewall itself reads, fixed when arming. Without the file, what glibc assumes.
Result<ResolvConf> read_system_resolv_conf();

}  // namespace namewall::agent
