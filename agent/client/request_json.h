// The bodies of what is asked of the daemon. Pure.
#pragma once

#include <string>

namespace namewall::agent {

std::string arm_request(const std::string& cgroup, const std::string& policy_text, bool allow_partial);
// What is "" is left out.
std::string explain_request(const std::string& workload, const std::string& target);
std::string teardown_request(const std::string& workload, const std::string& reason);

}  // namespace namewall::agent
