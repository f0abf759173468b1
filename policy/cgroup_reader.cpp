#include "policy/cgroup_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "policy/workload_plan.h"

namespace namewall {

void CgroupReader::read_cgroup(const ConfigNode& node) {
  if (node.kind == ConfigNode::Kind::kString) return add_cgroup(node);
  if (node.kind != ConfigNode::Kind::kList) {
    return config_.error(node.position, "`cgroup` is " + found(node) + "; accepted: a path or a list of paths");
  }
  if (node.items.empty()) config_.error(node.position, "`cgroup` is an empty list; leave it out instead");
  if (node.items.size() > kMaxCgroups) {
    return config_.error(node.position, "`cgroup` has " + std::to_string(node.items.size()) +
                                            " items; accepted: at most " + std::to_string(kMaxCgroups));
  }
  for (const ConfigNode* item : config_.read_strings(node, "cgroup", "a path as a string")) add_cgroup(*item);
}

void CgroupReader::add_cgroup(const ConfigNode& node) {
  Result<CgroupPattern> pattern = CgroupPattern::parse(node.text);
  if (!pattern) return config_.error(node.position, "`cgroup`: " + pattern.error().what);
  const auto is_same = [&](const Placed& other) { return other.pattern == *pattern; };
  if (std::any_of(patterns_.begin(), patterns_.end(), is_same)) {
    return config_.warning(node.position, quoted(node.text) + " is in `cgroup` twice");
  }
  policy_.cgroups.push_back(node.text);
  patterns_.push_back({*std::move(pattern), node.position});
}

void CgroupReader::read_unarmed_children(const ConfigNode& node) {
  constexpr std::string_view kWords[] = {"watch", "refuse"};
  unarmed_children_ = node.position;
  if (const auto index = config_.read_choice(node, "unarmed_children", kWords)) {
    policy_.unarmed_children = static_cast<UnarmedChildren>(*index);
  }
}

void CgroupReader::read_guard_shared(const ConfigNode& node) {
  guard_shared_ = node.position;
  for (const ConfigNode* item : config_.read_strings(node, "guard_shared", "a path as a string")) {
    if (Result<CgroupPattern> path = CgroupPattern::parse(item->text)) {
      policy_.guard_shared.push_back(item->text);
      shared_.push_back({*std::move(path), item->position});
    } else {
      config_.error(item->position, "`guard_shared`: " + path.error().what);
    }
  }
}

bool CgroupReader::has_glob_below(std::string_view fixed_part) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const Placed& placed) {
    return !placed.pattern.is_exact() && placed.pattern.fixed_part() == fixed_part;
  });
}

bool CgroupReader::may_guard(std::string_view fixed_part) const {
  const std::vector<std::string>& written = policy_.guard_shared;
  return !is_shared_cgroup(fixed_part) || std::find(written.begin(), written.end(), fixed_part) != written.end();
}

void CgroupReader::check() {
  const bool refuses = policy_.unarmed_children == UnarmedChildren::kRefuse;
  if (!refuses && guard_shared_.line != 0) {
    config_.error(guard_shared_, "`guard_shared` goes with `unarmed_children = \"refuse\"`, which is not there");
  }
  for (const Placed& shared : shared_) {
    const std::string& path = shared.pattern.text();
    if (!is_shared_cgroup(path) || !has_glob_below(path)) {
      config_.error(shared.position,
                    "`guard_shared` has " + quoted(path) +
                        "; accepted: a shared cgroup such as \"/system.slice\" that one of the policy's "
                        "globs begins with");
    }
  }
  if (!refuses) return;
  const auto is_glob = [](const Placed& placed) { return !placed.pattern.is_exact(); };
  if (std::none_of(patterns_.begin(), patterns_.end(), is_glob)) {
    config_.warning(unarmed_children_, "`unarmed_children` says nothing here: no `cgroup` of the policy is a glob");
  }
  for (const Placed& placed : patterns_) {
    const std::string& root = placed.pattern.fixed_part();
    if (placed.pattern.is_exact() || may_guard(root)) continue;
    config_.error(placed.position,
                  "`unarmed_children = \"refuse\"` would take the sockets of every new cgroup below " + root +
                      ", which other programs share; if that is meant, write `guard_shared = [" + quoted(root) + "]`");
  }
}

}  // namespace namewall
