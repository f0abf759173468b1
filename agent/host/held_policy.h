// A policy that is ready to be armed: everything about it that anybody asks for, made once and shared by all workloads
// that it holds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "policy/policy.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::agent {

struct HeldPolicy {
  std::string name;
  std::string file;    // path in the folder; "" of a policy by call
  std::string sha256;  // of the canonical form
  Policy policy;       // with the position of every rule
  std::shared_ptr<const HostPolicy> host;
  std::shared_ptr<const PolicyImage> image;  // of `policy` and `host`
  std::uint64_t image_hash = 0;              // bpf::hash_of(*image)
  std::uint32_t rules() const { return static_cast<std::uint32_t>(policy.allow.size() + policy.deny.size()); }
};

using HeldPolicyPtr = std::shared_ptr<const HeldPolicy>;

}  // namespace namewall::agent
