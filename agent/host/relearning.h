// What a workload has learned, taught again: to another backend, or because a new policy gives grants an end.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/backend.h"

namespace namewall::agent {

// As far as `image` has the names. A grant without an end keeps none under a policy whose grants have none; else it
// ends as if its name had been answered now, with a TTL of 0.
void teach_again(HostBackend& backend, std::uint64_t cgroup_id, const std::vector<GrantRecord>& learned,
                 const PolicyImage& image, BootTime now);

// A workload, and the children of a template, got `image` in place of a policy whose grants may never end: those that
// do not get an end. Nothing where `image` lets them stay.
void end_what_never_ends(HostBackend& backend, std::uint64_t cgroup_id, const PolicyImage& image, BootTime now);

}  // namespace namewall::agent
