// Arming and lifting without a daemon, straight in the kernel, with the pins where a later daemon looks for them.
#pragma once

#include <string>
#include <vector>

#include "agent/client/cgroup_choice.h"
#include "agent/host/host_view.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::agent {

inline constexpr const char* kDefaultPinDirectory = "/sys/fs/bpf/namewall";
inline constexpr const char* kDefaultOwner = "_namewall";

struct PinOptions {
  std::string directory = kDefaultPinDirectory;
  std::string owner = kDefaultOwner;  // USER or UID:GID
};

// Armed already: its policy is replaced. `name` is only told; the kernel keeps none. All of them, kConflict: another
// process holds the pins, maybe only for a moment.
Result<ChangeView> arm_directly(const PinOptions& pins, const ChosenCgroup& cgroup, const PolicyImage& image,
                                const std::string& name);
Result<ChangeView> disarm_directly(const PinOptions& pins, const ChosenCgroup& cgroup);
Result<ChangeView> teardown_directly(const PinOptions& pins);

}  // namespace namewall::agent
