#include "agent/host/workload_views.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "agent/host/dead_rules.h"
#include "agent/host/host_clock.h"
#include "agent/host/proxy_counts.h"
#include "agent/host/workload_state.h"
#include "policy/canonical_form.h"
#include "policy/host_rules.h"

namespace namewall::agent {
namespace {

double seconds(Nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

std::string state_word(const Grant& grant, BootTime now) {
  if (grant.note != NW_REASON_NONE) return "remembered: " + std::string(namewall::code_of(grant.note));
  return grant.is_live(now) ? "live" : "expired";
}

// Those that hold the workload, as often as they are written: an entry of block_networks is many rules.
std::vector<Rule> written_blocks(const HeldPolicy& held) {
  std::vector<Rule> blocks;
  for (Rule& block : blocks_for(held.host_policy(), held.policy().name)) {
    const bool is_same = !blocks.empty() && blocks.back().origin.to_string() == block.origin.to_string();
    if (!is_same) blocks.push_back(std::move(block));
  }
  return blocks;
}

std::vector<RuleView> rules_of(const HeldPolicy& held, const ResolvConf& system) {
  const std::vector<DeadRule> dead = find_dead_rules(held.policy(), held.host_policy(), system);
  std::vector<RuleView> views;
  const auto add = [&](const std::vector<Rule>& rules, const char* action) {
    for (const Rule& rule : rules) {
      RuleView view{rule.endpoint.text, action, rule.origin.to_string(), false, {}};
      const auto found =
          std::find_if(dead.begin(), dead.end(), [&](const DeadRule& candidate) { return candidate.rule == &rule; });
      if (found != dead.end()) {
        view.dead = true;
        if (found->decided_by != nullptr) view.decided_by = found->decided_by->endpoint.text;
      }
      views.push_back(std::move(view));
    }
  };
  add(held.policy().allow, "allow");
  add(held.policy().deny, "deny");
  add(held.host_policy().deny, "host deny");
  add(written_blocks(held), "host deny");
  return views;
}

std::vector<ResolverView> resolvers_of(const HeldPolicy& held) {
  std::vector<ResolverView> views;
  const std::vector<ResolverAddress>& own = held.policy().dns.resolvers;
  for (const ResolverAddress& resolver : held.image()->resolvers) {
    const bool is_own = std::find(own.begin(), own.end(), resolver) != own.end();
    views.push_back({text_of(resolver), is_own ? "policy" : "/etc/resolv.conf"});
  }
  return views;
}

}  // namespace

WorkloadView WorkloadViews::view(const Workload& workload, BootTime now) const {
  WorkloadView view;
  view.name = workload.name;
  view.cgroup = workload.cgroup;
  view.cgroup_id = workload.cgroup_id;
  view.state = state_of(workload);
  view.why = why_of(workload, flows_.obstacle(workload.cgroup_id));
  view.origin = word_of(workload.origin);
  if (workload.policy) {
    view.policy = workload.policy->name();
    view.file = workload.policy->file();
    view.mode = namewall::word_of(workload.policy->policy().mode);
    view.policy_sha256 = workload.policy->sha256();
    view.rules = workload.policy->rules();
    view.max_addresses = workload.policy->image()->max_addresses;
  }
  view.generation = workload.generation;
  view.workload_id = workload.workload_id;
  const Usage usage = usage_.last_of(workload);
  view.grants = usage.grants;
  view.refusals = usage.refusals;
  view.lookups = usage.lookups;
  view.last_refusal = workload.last_refusal;
  view.last_refusal_at = workload.last_refusal_at;
  view.armed_at = workload.armed_at;
  view.unarmed_ms = workload.unarmed_ms;
  if (workload.proof.passed_at) view.proved_ago_s = seconds(now - *workload.proof.passed_at);
  view.proof = workload.proof.text;
  view.labels = workload.labels;
  if (workload.ends_at) view.ttl_left_s = std::max(0.0, seconds(*workload.ends_at - now));
  const DaemonProxy::DnsPath dns = proxy_.path_of(workload);
  view.dns = dns.is_proxy ? "proxy" : "kernel";
  view.dns_why = dns.why;
  view.backend = namewall::word_of(workload.backend);
  return view;
}

std::vector<WorkloadView> WorkloadViews::list(BootTime now) {
  usage_.refresh(now, kListBudget);
  std::vector<WorkloadView> views;
  std::as_const(parts_.registry).each([&](const Workload& workload) { views.push_back(view(workload, now)); });
  return views;
}

void WorkloadViews::add_neighbours(std::vector<GrantView>& views, const std::vector<GrantRecord>& own,
                                   BootTime now) const {
  std::map<Address, std::set<std::string>> names;
  for (const GrantRecord& record : own) names[record.grant.address].insert(record.grant.name.text());
  const BootTime begin = boot_now();
  std::as_const(parts_.registry).each([&](const Workload& other) {
    if (boot_now() - begin > kNeighbourBudget || usage_.last_of(other).grants == 0) return;
    const auto read = parts_.enforcer.read_grants(other.cgroup_id);
    if (!read) return;
    for (const GrantRecord& record : *read) {
      const auto found = names.find(record.grant.address);
      if (found != names.end() && record.grant.is_live(now)) found->second.insert(record.grant.name.text());
    }
  });
  for (std::size_t i = 0; i < views.size(); ++i) {
    for (const std::string& name : names[own[i].grant.address]) {
      if (name != views[i].name) views[i].shared_with.push_back(name);
    }
  }
}

Result<std::vector<GrantView>> WorkloadViews::grants(const Workload& workload, BootTime now) {
  const auto records = parts_.enforcer.read_grants(workload.cgroup_id);
  if (!records) return tl::unexpected(records.error());
  std::vector<GrantView> views;
  for (const GrantRecord& record : *records) {
    GrantView view;
    view.name = record.grant.name.text();
    view.address = record.grant.address.to_string();
    if (workload.policy) {
      view.ports = workload.policy->image()->ports_of(record.current_ports & kAllPorts).to_string();
    }
    view.state = state_word(record.grant, now);
    if (record.grant.deadline != kNever) view.seconds_left = seconds(record.grant.deadline - now);
    view.connects = record.hits;
    views.push_back(std::move(view));
  }
  add_neighbours(views, *records, now);
  return views;
}

Result<WorkloadDetail> WorkloadViews::detail(const Workload& workload, BootTime now) {
  WorkloadDetail detail;
  (void)usage_.of(workload, now);
  detail.workload = view(workload, now);
  if (workload.policy) {
    detail.policy_text = workload.policy->version->canonical_text;
    detail.rules = rules_of(*workload.policy, parts_.folder.system);
    detail.resolvers = resolvers_of(*workload.policy);
  }
  detail.unattributed_flows = flows_.unattributed(workload.cgroup_id);
  detail.proxy = proxy_counts(proxy_.figures_of(workload.cgroup_id));
  if (!workload.is_armed) return detail;
  auto grant_views = grants(workload, now);
  if (!grant_views) return tl::unexpected(grant_views.error());
  detail.grants = std::move(*grant_views);
  const auto counters = parts_.enforcer.read_counters(workload.cgroup_id);
  if (!counters) return tl::unexpected(counters.error());
  for (const auto& [name, value] : counters->counters) detail.counters[name] = value;
  for (std::size_t reason = 0; reason < counters->by_reason.size(); ++reason) {
    const std::uint64_t count = counters->by_reason[reason];
    if (count != 0) detail.refusals_by_reason[std::string(namewall::code_of(static_cast<Reason>(reason)))] = count;
  }
  return detail;
}

}  // namespace namewall::agent
