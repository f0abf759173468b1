// The views as JSON and back: the keys are the field names. Absent keys keep their defaults.
#pragma once

#include <nlohmann/json.hpp>

#include "agent/host/host_view.h"

namespace namewall::agent {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(WorkloadView, name, cgroup, cgroup_id, state, why, policy, origin, file,
                                                mode, policy_sha256, generation, workload_id, rules, grants,
                                                max_addresses, refusals, lookups, last_refusal, last_refusal_at,
                                                armed_at, unarmed_ms, proved_ago_s, proof, labels, ttl_left_s, dns,
                                                dns_why, backend)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RuleView, rule, action, origin, dead, decided_by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ResolverView, address, source)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(GrantView, name, address, ports, state, seconds_left, connects,
                                                shared_with)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(WorkloadDetail, workload, policy_text, rules, resolvers, grants,
                                                counters, refusals_by_reason, unattributed_flows, proxy)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(EventView, sequence, time, kind, workload, policy, generation, hook,
                                                reason, sentence, name, address, port, protocol, pid, uid, command,
                                                rule, permit, left_out, retry)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PolicyFileView, file, policy, state, error, sha256, age_s, workloads)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(BoundView, bound, used, limit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ProxyNetnsView, netns, own, resolvers, pid)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(StatusView, version, pid, started_at, state, why, workloads,
                                                workloads_by_state, policies, bounds, warnings, oldest_proof_s, reloads,
                                                reload_failures, last_reload_at, damage_repaired, last_damage,
                                                last_damage_at, events, events_left_out, unarmed_ms_last,
                                                unarmed_ms_max, grants_adopted, adoption_gap_ms, generation,
                                                proxy_namespaces, proxy)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ExplainView, workload, target, allowed, reason, walk, permit, retry)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SelfView, confined, workload, state, policy_text, generation, refusals)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ChangeView, workload, cgroup, cgroup_id, generation, state, why, lifted)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RestrictView, workload, cgroup, cgroup_id, state, why, without_effect,
                                                cooperative, depth)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ReloadView, ok, errors, warnings, armed, replaced, let_go, unchanged)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RepairView, unknown, missing, changed, unrepaired)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ProofView, workload, passed, steps)

}  // namespace namewall::agent
