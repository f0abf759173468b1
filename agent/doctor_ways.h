// The ways around a policy that hooks on a cgroup's sockets do not see, as they are on this host: what `run` closes,
// what stays open under it, what this host does not have.
#pragma once

#include <vector>

#include "agent/doctor_report.h"

namespace namewall::agent {

std::vector<WayAround> find_ways_around();

}  // namespace namewall::agent
