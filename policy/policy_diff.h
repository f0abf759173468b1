// What one policy permits and another does not, with which of it is more: for `namewall check --diff`. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/image_change.h"
#include "policy/policy_image.h"

namespace namewall {

struct PolicyDiff {
  std::vector<AccessChange> opens, closes;  // changes_between(), and settings by which way they go
  std::vector<std::string> changes;         // neither more nor less: "learn kernel -> proxy"
  bool widens() const { return !opens.empty(); }
};

// The images are compiled with the same host and system. No false comfort: where `opens` is empty, whatever `newer`
// lets a workload do `older` did, too. The reverse is not promised: a rule whose ports another one has already can be
// told as opening them, and so is a longer time or a larger bound that nothing may ever reach.
PolicyDiff diff_policies(const Policy& older, const PolicyImage& older_image, const Policy& newer,
                         const PolicyImage& newer_image);

}  // namespace namewall
