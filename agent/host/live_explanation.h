// Why a workload may reach a target or not, now: the verdict's walk over its policy and over what it has learned. Pure
// but for the values that it is given.
#pragma once

#include <string>
#include <vector>

#include "agent/host/held_policy.h"
#include "agent/host/host_view.h"
#include "agent/host/kept_event.h"
#include "bpf/enforcer.h"

namespace namewall::agent {

// `target` as for `namewall explain`. kInvalid: what is accepted.
Result<ExplainView> explain_live(const std::string& workload, const HeldPolicy& held,
                                 const std::vector<GrantRecord>& grants, const std::vector<Address>& own_addresses,
                                 const std::string& target, BootTime now);

// The same of a refusal that has happened.
ExplainView explain_refusal(const KeptEvent& kept);

}  // namespace namewall::agent
