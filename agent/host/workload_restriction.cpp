#include "agent/host/workload_restriction.h"

#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/host/cgroup_scan.h"
#include "agent/host/host_clock.h"
#include "agent/host/opened_cgroup.h"
#include "agent/host/restricted_cgroup.h"
#include "agent/host/restriction_name.h"
#include "agent/host/workload_state.h"
#include "policy/cgroup_pattern.h"
#include "policy/narrowing.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

std::string path_below(const std::string& cgroup, std::uint64_t number) {
  return (cgroup == "/" ? "" : cgroup) + "/" + restricted_cgroup_name(number);
}

std::uint64_t id_of(int directory) {
  struct stat status {};
  return ::fstat(directory, &status) == 0 ? status.st_ino : 0;
}

// Root's, as the helper makes them.
bool is_own(const std::string& directory) {
  struct stat status {};
  return ::stat(directory.c_str(), &status) == 0 && status.st_uid == 0;
}

RestrictOutcome refused(const Error& error, RestrictObstacle obstacle = RestrictObstacle::kNone) {
  return {tl::unexpected(error), obstacle};
}

Result<std::vector<Rule>> read_allow(const std::vector<std::string>& allow, const LoadContext& context) {
  Loaded<Policy> loaded = load_policy_arguments(allow, {}, context);
  std::string errors;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError)
      errors += (errors.empty() ? "" : "\n") + diagnostic.message;
  }
  if (!errors.empty()) return fail(ErrorKind::kInvalid, errors);
  for (const Rule& rule : loaded.value.allow) {
    if (!rule.endpoint.resolved_by_agent) continue;
    return fail(ErrorKind::kInvalid, rule.endpoint.text + ": the daemon looks up no names for a restriction");
  }
  return std::move(loaded.value.allow);
}

// Waits until `is_done`, or for `patience`; the DNS proxy is served meanwhile.
template <typename IsDone>
bool wait_for_helper(HostParts& parts, Nanoseconds patience, IsDone is_done) {
  const BootTime begin = boot_now();
  while (!is_done() && boot_now() - begin < patience) {
    pollfd waiting[] = {{parts.helper.fd(), POLLIN, 0}, {parts.proxy_fd, POLLIN, 0}};
    if (::poll(waiting, 2, 20) > 0) {
      if (waiting[0].revents != 0) parts.helper.read_answers();
      if (waiting[1].revents != 0) parts.serve_proxy();
    }
    parts.helper.expire(boot_now());
    if (!parts.helper.is_alive()) break;
  }
  return is_done();
}

Nanoseconds busy_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

tl::unexpected<Error> no_answer() {
  return fail(ErrorKind::kSystem, "the privileged helper has not answered in time: ask again");
}

}  // namespace

WorkloadRestriction::WorkloadRestriction(HostParts& parts, WorkloadArming& arming, EmptyCgroups& emptied)
    : parts_(parts),
      arming_(arming),
      emptied_(emptied),
      // A later daemon of this boot begins behind all numbers of this one.
      next_number_(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(boot_now().since_boot).count())) {}

Result<WorkloadRestriction::Above> WorkloadRestriction::look_above(const Peer& peer) const {
  const WorkloadRegistry& registry = parts_.registry;
  Above above;
  bool is_row_known = false;
  std::string path = peer.cgroup;
  for (bool is_own = true; path != "/"; is_own = false) {
    const Workload* here = registry.find_at(path);
    const bool is_template = here != nullptr && here->held_by == HeldBy::kTemplate;
    if (is_own && is_template) {
      return fail(ErrorKind::kConflict,
                  "the process is in the cgroup of the template " + here->name + ", whose children it holds");
    }
    // A template's own policy holds the child that has none of its own.
    if (here != nullptr && here->is_armed && !(is_template && is_row_known)) above.levels.push_back(here);
    is_row_known = here != nullptr && here->held_by == HeldBy::kTemplateRow;
    if (is_restricted_cgroup(path)) ++above.count.depth;
    ++above.count.cgroup_depth;
    path = std::string(parent_cgroup(path));
    if (path.empty()) path = "/";
  }
  const auto holder =
      std::ranges::find_if(above.levels, [](const Workload* level) { return !is_restricted_cgroup(level->cgroup); });
  const std::string prefix = restrict_prefix_of(peer.uid);
  registry.each([&](const Workload& workload) {
    if (!is_restricted_cgroup(workload.cgroup)) return;
    const std::uint32_t rules = workload.policy ? workload.policy->rules() : 0;
    ++above.count.all;
    above.count.all_rules += rules;
    if (workload.name.starts_with(prefix)) {
      ++above.count.of_user;
      above.count.rules_of_user += rules;
    }
    if (holder != above.levels.end() && is_below_cgroup(workload.cgroup, (*holder)->cgroup)) ++above.count.of_workload;
  });
  return above;
}

Result<HeldPolicyPtr> WorkloadRestriction::build_policy(const RestrictRequest& request, const Above& above) {
  const auto& host = parts_.folder.host.in_force;
  auto allow = read_allow(request.allow, parts_.load_context());
  if (!allow) return tl::unexpected(allow.error());
  const auto nearest =
      std::ranges::find_if(above.levels, [](const Workload* level) { return level->policy != nullptr; });
  // What is no reach (the DNS path, the loopback, what the host exempts by name) is as above.
  Policy policy;
  policy.name = "restrict";
  if (nearest != above.levels.end()) {
    const Policy& outer = (*nearest)->policy->policy();
    policy.name = outer.name;
    policy.backend = (*nearest)->backend;
    policy.listen = outer.listen;
    policy.loopback = outer.loopback;
    policy.dns = outer.dns;
    policy.dns.resolve = Resolve::kWorkload;
  }
  policy.dns.max_addresses = std::min(policy.dns.max_addresses, kMaxRestrictAddresses);
  policy.allow = std::move(*allow);
  return parts_.shelf.take(policy, host, parts_.folder.system);
}

RestrictedCgroupOutcome WorkloadRestriction::make_cgroup(const Peer& peer, const RestrictOrder& order) {
  struct Pending {
    std::optional<RestrictedCgroupOutcome> outcome;
    bool is_given_up = false;
  };
  const auto pending = std::make_shared<Pending>();
  parts_.helper.make_restricted(peer.pidfd, order, boot_now(), [this, pending](RestrictedCgroupOutcome outcome) {
    if (pending->is_given_up && outcome.made) undo(*outcome.made);
    pending->outcome = std::move(outcome);
  });
  if (wait_for_helper(parts_, kPatience, [&] { return pending->outcome.has_value(); })) {
    return std::move(*pending->outcome);
  }
  pending->is_given_up = true;
  return {no_answer(), RestrictObstacle::kNone};
}

Result<void> WorkloadRestriction::arm(const Peer& peer, const RestrictRequest& request, std::uint64_t number,
                                      int directory, HeldPolicyPtr policy) {
  Workload workload;
  workload.name = restrict_prefix_of(peer.uid) + std::to_string(number);
  workload.cgroup = path_below(peer.cgroup, number);
  workload.cgroup_id = id_of(directory);
  workload.origin = WorkloadOrigin::kRestrict;
  workload.policy_text = policy->version->canonical_text;
  workload.policy = std::move(policy);
  workload.is_cooperative = request.cooperative;
  workload.unarmed_ms = 0;  // nobody is in it yet
  if (!request.label.empty()) workload.labels["label"] = request.label;
  if (auto followed = parts_.ends.follow(workload.cgroup, workload.cgroup_id); !followed) return followed;
  const std::uint64_t id = workload.cgroup_id;
  std::vector<Workload> one;
  one.push_back(std::move(workload));
  Result<void> armed = std::move(arming_.arm(std::move(one)).front());
  if (!armed) parts_.ends.unfollow(id);
  return armed;
}

Result<void> WorkloadRestriction::enter(const RestrictedCgroup& made, std::uint64_t from_id) {
  const auto outcome = std::make_shared<std::optional<Result<void>>>();
  parts_.helper.enter_restricted(made.directory.get(), made.process.get(), from_id, boot_now(),
                                 [outcome](Result<void> done) { *outcome = std::move(done); });
  if (!wait_for_helper(parts_, kPatience, [&] { return outcome->has_value(); })) return no_answer();
  return **outcome;
}

// What is still in use stays held, and goes when it is empty.
void WorkloadRestriction::undo(const RestrictedCgroup& made) {
  parts_.helper.remove_restricted(made.directory.get(), boot_now(), [](const Result<void>&) {});
}

Result<WorkloadRestriction::Plan> WorkloadRestriction::plan(const Peer& peer, const RestrictRequest& request,
                                                            const RestrictSettings& settings) {
  const auto above = look_above(peer);
  if (!above) return tl::unexpected(above.error());
  if (const auto room = check_room(settings, above->count); !room) return tl::unexpected(room.error());
  auto policy = build_policy(request, *above);
  if (!policy) return tl::unexpected(policy.error());
  if (const auto room = check_rules(above->count, (*policy)->rules()); !room) return tl::unexpected(room.error());

  std::vector<LevelAbove> levels;
  for (const Workload* level : above->levels) {
    if (level->policy)
      levels.push_back({"workload " + level->name, &level->policy->policy(), level->policy->image().get()});
  }
  auto without_effect = find_without_effect((*policy)->policy().allow, levels);
  return Plan{std::move(*policy), std::move(without_effect), above->count.depth + 1};
}

RestrictOutcome WorkloadRestriction::restrict(const Peer& peer, const RestrictRequest& request) {
  const RestrictSettings& settings = parts_.settings().restrict;
  if (settings.enabled) {
    if (const auto room = rate_.take(settings, peer.uid, boot_now()); !room) return refused(room.error());
  }
  if (peer.pidfd < 0 || peer.cgroup_id == 0) {
    return refused({ErrorKind::kPermission, 0, "the process that asks cannot be told by the kernel"});
  }
  const Nanoseconds begin = busy_time();
  auto planned = plan(peer, request, settings);
  rate_.charge(settings, peer.uid, busy_time() - begin);  // not for the arming, which may load a layer for all to come
  if (!planned) return refused(planned.error());
  const HeldPolicyPtr& policy = planned->policy;

  RestrictView view;
  view.without_effect = std::move(planned->without_effect);
  const std::uint64_t number = next_number_++;
  const RestrictOrder order{.number = number,
                            .cgroup_id = peer.cgroup_id,
                            .uid = peer.uid,
                            .child = request.child,
                            .may_be_able_to_leave = request.cooperative,
                            .in_own_netns = policy->image()->backend == Backend::kNft};
  const RestrictedCgroupOutcome outcome = make_cgroup(peer, order);
  if (!outcome.made) return refused(outcome.made.error(), outcome.obstacle);
  const RestrictedCgroup& made = *outcome.made;
  const std::uint64_t id = id_of(made.directory.get());
  // Armed before anybody is in it: a process is never held by less than it asked for.
  if (const auto armed = arm(peer, request, number, made.directory.get(), policy); !armed) {
    undo(made);
    return refused(armed.error());
  }
  Workload& workload = *parts_.registry.find_by_id(id);
  (void)emptied_.follow(parts_.cgroups.directory_of(workload.cgroup), id);  // the sweep finds it all the same
  if (const auto entered = enter(made, peer.cgroup_id); !entered) {
    undo(made);
    return refused(entered.error());
  }
  remove_if_empty(id);

  view.workload = workload.name;
  view.cgroup = workload.cgroup;
  view.cgroup_id = id;
  view.state = state_of(workload);
  view.why = why_of(workload, std::nullopt);
  view.cooperative = request.cooperative;
  view.depth = planned->depth;
  return {std::move(view), RestrictObstacle::kNone};
}

void WorkloadRestriction::remove(const std::string& path, std::uint64_t cgroup_id) {
  const auto opened = open_cgroup(parts_.cgroups, path, cgroup_id);
  if (!opened || opened->is_populated()) return;
  // Its end is told as any cgroup's is: nothing is lifted before it is gone.
  parts_.helper.remove_restricted(opened->fd.get(), boot_now(), [this, path](const Result<void>& done) {
    if (!done) return;
    // The one around it was told to be empty with it, and could not go first.
    const std::string outer(parent_cgroup(path));
    if (!is_restricted_cgroup(outer)) return;
    if (const Workload* workload = parts_.registry.find_at(outer)) remove(outer, workload->cgroup_id);
  });
}

void WorkloadRestriction::remove_if_empty(std::uint64_t cgroup_id) {
  const Workload* workload = parts_.registry.find_by_id(cgroup_id);
  if (workload == nullptr) return emptied_.unfollow(cgroup_id);
  remove(workload->cgroup, cgroup_id);
}

void WorkloadRestriction::take_emptied() {
  for (const std::uint64_t id : emptied_.consume()) remove_if_empty(id);
}

void WorkloadRestriction::take_over() {
  const auto all = scan_cgroups(parts_.cgroups.directory_of("/"), "/");
  if (!all) return;
  for (auto cgroup = all->rbegin(); cgroup != all->rend(); ++cgroup) {  // what is below goes first
    // Whoever has a cgroup of its own may make some of that name in it.
    if (!is_restricted_cgroup(cgroup->path) || !is_own(parts_.cgroups.directory_of(cgroup->path))) continue;
    if (parts_.registry.find_by_id(cgroup->id) == nullptr) {
      left_over_.push_back(*cgroup);
      continue;
    }
    (void)parts_.ends.follow(cgroup->path, cgroup->id);
    (void)emptied_.follow(parts_.cgroups.directory_of(cgroup->path), cgroup->id);
    remove(cgroup->path, cgroup->id);
  }
  left_over_since_ = boot_now();
}

void WorkloadRestriction::tick(BootTime now) {
  if (!left_over_.empty() && now - left_over_since_ >= kLeftOverAfter) {
    for (const ExistingCgroup& cgroup : left_over_) remove(cgroup.path, cgroup.id);
    left_over_.clear();
  }
  if (sweep_.empty()) {
    std::as_const(parts_.registry).each([&](const Workload& workload) {
      if (is_restricted_cgroup(workload.cgroup)) sweep_.push_back(workload.cgroup_id);
    });
    for (const std::uint64_t id : emptied_.followed()) {
      if (parts_.registry.find_by_id(id) == nullptr) emptied_.unfollow(id);
    }
  }
  for (std::size_t looks = 0; looks < kSweptPerTick && !sweep_.empty(); ++looks) {
    remove_if_empty(sweep_.front());
    sweep_.pop_front();
  }
}

}  // namespace namewall::agent
