#include "policy/workload_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "policy/escape.h"

namespace namewall {
namespace {

// One `cgroup` entry of one policy.
struct Entry {
  const PlannedPolicy* policy = nullptr;
  const CgroupPattern* pattern = nullptr;
  bool is_only() const { return policy->cgroups.size() == 1; }
};

std::string name_of_match(const Entry& entry, const std::string& path) {
  const std::string& name = entry.policy->name;
  if (!entry.is_only()) return name + ":" + path;
  if (entry.pattern->is_exact()) return name;
  const std::string& fixed = entry.pattern->fixed_part();
  return name + ":" + path.substr(fixed == "/" ? 1 : fixed.size() + 1);
}

// Of what stands on the fixed part of a glob: its template or guard.
std::string name_of_holder(const Entry& entry) {
  return entry.is_only() ? entry.policy->name : entry.policy->name + "::" + entry.pattern->text();
}

// The policies' entries, by what is asked of them. Points into the policies.
class Planner {
 public:
  explicit Planner(const std::vector<PlannedPolicy>& policies) {
    for (const PlannedPolicy& policy : policies) {
      for (const CgroupPattern& pattern : policy.cgroups) add({&policy, &pattern});
    }
    // Within one policy a template beats its other globs: what it matches needs nothing.
    for (auto& [depth, globs] : globs_by_depth_) {
      std::stable_partition(globs.begin(), globs.end(), [](const Entry& e) { return e.pattern->is_template(); });
    }
  }

  // Whose match `path` is: that of an exact path, or else of a glob.
  std::optional<Entry> find_match(std::string_view path, std::size_t depth) const {
    if (const auto exact = exact_.find(path); exact != exact_.end()) return exact->second;
    const auto globs = globs_by_depth_.find(depth);
    if (globs == globs_by_depth_.end()) return std::nullopt;
    for (const Entry& entry : globs->second) {
      if (entry.pattern->matches(path)) return entry;
    }
    return std::nullopt;
  }
  std::optional<Entry> find_match(std::string_view path) const {
    const auto slashes = std::count(path.begin(), path.end(), '/');
    return find_match(path, path == "/" ? 0 : static_cast<std::size_t>(slashes));
  }

  // The template that stands on `path`, if one does.
  std::optional<Entry> find_template(std::string_view path) const {
    const auto holders = globs_by_fixed_part_.find(path);
    if (holders == globs_by_fixed_part_.end() || find_match(path)) return std::nullopt;
    for (const Entry& entry : holders->second) {
      if (entry.pattern->is_template()) return entry;
    }
    return std::nullopt;
  }

  bool is_live_template(const Entry& entry) const {
    return entry.pattern->is_template() && !find_match(entry.pattern->fixed_part());
  }

  // Guards on `path`: none where a template stands, which leaves no child unarmed.
  std::vector<Entry> find_guards(std::string_view path) const {
    std::vector<Entry> guards;
    const auto holders = globs_by_fixed_part_.find(path);
    if (holders == globs_by_fixed_part_.end() || find_template(path)) return guards;
    for (const Entry& entry : holders->second) {
      const bool is_new = guards.empty() || guards.back().policy != entry.policy;  // entries come policy by policy
      if (is_new && entry.policy->unarmed_children == UnarmedChildren::kRefuse) guards.push_back(entry);
    }
    return guards;
  }

  HeldBy how_exact_is_held(const std::string& path) const {
    return path != "/" && find_template(parent_cgroup(path)) ? HeldBy::kTemplateRow : HeldBy::kOwnPrograms;
  }

  void plan(const ExistingCgroup& cgroup, std::vector<WantedWorkload>& wanted) const {
    const auto want = [&](std::string name, const Entry& entry, HeldBy held_by) {
      wanted.push_back({std::move(name), cgroup.path, cgroup.id, entry.policy->name, held_by});
    };
    if (const std::optional<Entry> match = find_match(cgroup.path)) {
      if (match->pattern->is_exact()) {
        want(name_of_match(*match, cgroup.path), *match, how_exact_is_held(cgroup.path));
      } else if (!is_live_template(*match)) {
        want(name_of_match(*match, cgroup.path), *match, HeldBy::kOwnPrograms);
      } else if (match->policy->arms_children) {
        want(name_of_match(*match, cgroup.path), *match, HeldBy::kTemplateRow);
      }
    } else if (const std::optional<Entry> holder = find_template(cgroup.path)) {
      want(name_of_holder(*holder), *holder, HeldBy::kTemplate);
    }
    for (const Entry& guard : find_guards(cgroup.path)) want(name_of_holder(guard), guard, HeldBy::kGuard);
  }

 private:
  void add(const Entry& entry) {
    if (entry.pattern->is_exact()) {
      exact_.try_emplace(entry.pattern->text(), entry);
      return;
    }
    globs_by_depth_[entry.pattern->depth()].push_back(entry);
    globs_by_fixed_part_[entry.pattern->fixed_part()].push_back(entry);
  }

  std::unordered_map<std::string_view, Entry> exact_;
  std::unordered_map<std::size_t, std::vector<Entry>> globs_by_depth_;
  std::unordered_map<std::string_view, std::vector<Entry>> globs_by_fixed_part_;
};

std::string sentence_of_clash(const Entry& a, const Entry& b) {
  if (a.pattern->is_exact()) {
    return quote_for_display(a.pattern->text()) + " is the `cgroup` of two policies, in " + a.policy->file +
           " and in " + b.policy->file + "; a cgroup has one policy";
  }
  return "`cgroup` " + quote_for_display(a.pattern->text()) + " in " + a.policy->file + " and " +
         quote_for_display(b.pattern->text()) + " in " + b.policy->file +
         " can match the same cgroup; narrow one of them, or write exact paths, which beat globs";
}

// Pairs of policies (indexes) whose entries meet, with one such pair of entries each.
using Clashes = std::map<std::pair<std::size_t, std::size_t>, std::pair<Entry, Entry>>;

// Two globs can meet only if the fixed part of one is, or is above, that of the other: each is compared with those
// whose fixed parts are on the way up from its own.
Clashes find_clashes(const std::vector<PlannedPolicy>& policies) {
  struct Indexed {
    std::size_t policy;
    Entry entry;
  };
  Clashes clashes;
  const auto note = [&](const Indexed& a, const Indexed& b) {
    if (a.policy == b.policy || !CgroupPattern::can_meet(*a.entry.pattern, *b.entry.pattern)) return;
    const auto [first, second] = a.policy < b.policy ? std::pair(a, b) : std::pair(b, a);
    clashes.try_emplace({first.policy, second.policy}, first.entry, second.entry);
  };
  std::unordered_map<std::string_view, std::vector<Indexed>> exact, globs;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    for (const CgroupPattern& pattern : policies[i].cgroups) {
      (pattern.is_exact() ? exact : globs)[pattern.fixed_part()].push_back({i, {&policies[i], &pattern}});
    }
  }
  for (const auto& [path, entries] : exact) {
    for (std::size_t i = 1; i < entries.size(); ++i) note(entries[0], entries[i]);
  }
  for (const auto& [fixed_part, entries] : globs) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) note(entries[j], entries[i]);
    }
    for (std::string_view above = fixed_part; above != "/";) {
      above = parent_cgroup(above);
      const auto others = globs.find(above);
      if (others == globs.end()) continue;
      for (const Indexed& entry : entries) {
        for (const Indexed& other : others->second) note(entry, other);
      }
    }
  }
  return clashes;
}

}  // namespace

std::vector<PlanError> check_policies(const std::vector<PlannedPolicy>& policies) {
  std::map<std::pair<std::size_t, std::size_t>, std::string> sentences;
  std::unordered_map<std::string_view, std::size_t> first_of_name;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const auto [first, is_new] = first_of_name.try_emplace(policies[i].name, i);
    if (is_new) continue;
    sentences[{first->second, i}] = "`name` is \"" + policies[i].name + "\" in " + policies[first->second].file +
                                    " and in " + policies[i].file + "; each policy has a name of its own";
  }
  for (const auto& [pair, entries] : find_clashes(policies)) {
    sentences.try_emplace(pair, sentence_of_clash(entries.first, entries.second));
  }
  std::vector<PlanError> errors;
  for (auto& [pair, sentence] : sentences) {
    errors.push_back({policies[pair.first].file, policies[pair.second].file, std::move(sentence)});
  }
  return errors;
}

std::vector<WantedWorkload> plan_cgroup(const std::vector<PlannedPolicy>& policies, const ExistingCgroup& cgroup) {
  std::vector<WantedWorkload> wanted;
  Planner(policies).plan(cgroup, wanted);
  return wanted;
}

std::vector<WantedWorkload> plan_workloads(const std::vector<PlannedPolicy>& policies,
                                           const std::vector<ExistingCgroup>& cgroups) {
  const Planner planner(policies);
  std::vector<WantedWorkload> wanted;
  for (const ExistingCgroup& cgroup : cgroups) planner.plan(cgroup, wanted);
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const WantedWorkload& a, const WantedWorkload& b) { return a.cgroup < b.cgroup; });
  return wanted;
}

HeldBy how_held(const std::vector<PlannedPolicy>& policies, const PlannedPolicy& policy, const CgroupPattern& pattern) {
  const Planner planner(policies);
  if (pattern.is_exact()) return planner.how_exact_is_held(pattern.text());
  return planner.is_live_template({&policy, &pattern}) ? HeldBy::kTemplate : HeldBy::kOwnPrograms;
}

std::vector<std::string> find_foreign_children(const PlannedPolicy& policy, const std::vector<PlannedPolicy>& policies,
                                               const std::vector<ExistingCgroup>& cgroups) {
  const Planner planner(policies);
  std::vector<std::string> guarded;
  for (const CgroupPattern& pattern : policy.cgroups) {
    const std::vector<Entry> guards = planner.find_guards(pattern.fixed_part());
    const auto is_own = [&](const Entry& guard) { return guard.policy->name == policy.name; };
    if (!pattern.is_exact() && std::any_of(guards.begin(), guards.end(), is_own))
      guarded.push_back(pattern.fixed_part());
  }
  const auto is_armed = [&](std::string_view path) { return planner.find_match(path) || planner.find_template(path); };
  const auto is_foreign = [&](const std::string& path, const std::string& root) {
    if (!is_below_cgroup(path, root)) return false;
    for (std::string_view at = path; at != root; at = parent_cgroup(at)) {
      if (is_armed(at)) return false;
    }
    return true;
  };
  std::set<std::string> foreign;
  for (const ExistingCgroup& cgroup : cgroups) {
    const auto hits = [&](const std::string& root) { return is_foreign(cgroup.path, root); };
    if (std::any_of(guarded.begin(), guarded.end(), hits)) foreign.insert(cgroup.path);
  }
  return {foreign.begin(), foreign.end()};
}

bool is_shared_cgroup(std::string_view path) {
  for (const std::string_view whole : {"/", "/system.slice", "/user.slice", "/init.scope"}) {
    if (path == whole) return true;
  }
  const std::string_view first = path.substr(1, path.find('/', 1) - 1);
  return first == "machine.slice" || first == "kubepods" || first == "kubepods.slice" ||
         (first.starts_with("kubepods-") && first.ends_with(".slice"));
}

}  // namespace namewall
