#include "agent/host/table_namespaces.h"

#include <algorithm>
#include <utility>

#include "agent/host/host_clock.h"
#include "agent/host/process_workload.h"

namespace namewall::agent {
namespace {

constexpr const char* kInBetween =
    "processes of it are in a network namespace of their own, where nftables holds them from a second after they came";

bool is_ours(const Workload& workload) { return workload.is_armed && workload.backend == Backend::kNft; }

}  // namespace

TableNamespaces::TableNamespaces(HostParts& parts, Uses uses)
    : parts_(parts), uses_(std::move(uses)), self_(std::make_shared<TableNamespaces*>(this)) {}

TableNamespaces::~TableNamespaces() = default;

bool TableNamespaces::has_workloads() const {
  bool has = false;
  std::as_const(parts_.registry).each([&has](const Workload& workload) { has = has || is_ours(workload); });
  return has;
}

void TableNamespaces::tick(BootTime now) {
  if (is_looking_ || now < next_look_ || !parts_.helper.is_alive()) return;
  next_look_ = now + kLookInterval;
  if (uses_.enforcer() == nullptr || (entered_.empty() && !has_workloads())) return;
  is_looking_ = true;
  parts_.helper.scan_namespaces(now, [weak = std::weak_ptr(self_)](const Result<NetnsScan>& scan) {
    const auto self = weak.lock();
    if (!self) return;
    (*self)->is_looking_ = false;
    if (scan) (*self)->take_scan(*scan);
  });
}

void TableNamespaces::take_scan(const NetnsScan& scan) {
  nft::HostEnforcer* const enforcer = uses_.enforcer();
  if (enforcer == nullptr) return;
  found_.clear();
  for (const NetnsScan::Found& one : scan.found) {
    const Workload* workload = find_workload_of_process(parts_.registry, one.process.pid);
    if (workload == nullptr || !is_ours(*workload)) continue;
    Inhabitants& there = found_[one.cookie];
    there.pid = one.process.pid;
    there.cgroup_ids.insert(workload->cgroup_id);
    if (entered_.contains(one.cookie)) uses_.serve_dns(one.cookie, one.process.pid, *workload);
  }
  for (const auto& [cookie, there] : found_) {
    const auto known = entered_.find(cookie);
    if (known == entered_.end()) {
      open(cookie, there);
      continue;
    }
    std::vector<std::uint64_t> more;
    std::set_difference(there.cgroup_ids.begin(), there.cgroup_ids.end(), known->second.begin(), known->second.end(),
                        std::back_inserter(more));
    if (more.empty()) continue;
    if (const auto joined = enforcer->join_netns(cookie, more); !joined) {
      refuse(cookie, joined.error().message());
    } else {
      known->second.insert(more.begin(), more.end());
    }
  }
  if (scan.is_complete) {
    for (auto at = entered_.begin(); at != entered_.end();) {
      if (found_.contains(at->first)) {
        ++at;
        continue;
      }
      enforcer->leave_netns(at->first);
      at = entered_.erase(at);
      ++parts_.figures.generation;  // descriptors to be watched
    }
    std::erase_if(refused_, [this](const auto& one) { return !found_.contains(one.first); });
  }
  tell_workloads(scan.is_complete);
}

void TableNamespaces::open(std::uint64_t cookie, const Inhabitants& found) {
  const BootTime now = boot_now();
  const auto refused = refused_.find(cookie);
  if (opening_.contains(cookie) || (refused != refused_.end() && now < refused->second.until)) return;
  if (entered_.size() + opening_.size() >= kMaxNamespaces) {
    return refuse(cookie, "there are more than " + std::to_string(kMaxNamespaces) + " of them");
  }
  opening_.insert(cookie);
  parts_.helper.open_tables(found.pid, cookie, now,
                            [weak = std::weak_ptr(self_), cookie](Result<nft::NetnsSockets> sockets) {
                              if (const auto self = weak.lock()) (*self)->enter(cookie, std::move(sockets));
                            });
}

void TableNamespaces::enter(std::uint64_t cookie, Result<nft::NetnsSockets> sockets) {
  opening_.erase(cookie);
  const auto found = found_.find(cookie);
  nft::HostEnforcer* const enforcer = uses_.enforcer();
  if (found == found_.end() || enforcer == nullptr) return;
  if (!sockets) return refuse(cookie, sockets.error().message());
  const auto& ids = found->second.cgroup_ids;
  const auto entered = enforcer->enter_netns(cookie, std::move(*sockets), {ids.begin(), ids.end()});
  if (!entered) return refuse(cookie, entered.error().message());
  entered_[cookie] = ids;
  refused_.erase(cookie);
  ++parts_.figures.generation;
  for (const std::uint64_t id : ids) {
    if (const Workload* workload = std::as_const(parts_.registry).find_by_id(id)) {
      uses_.serve_dns(cookie, found->second.pid, *workload);
    }
  }
  tell_workloads(false);
}

void TableNamespaces::refuse(std::uint64_t cookie, const std::string& why) {
  const bool is_new = !refused_.contains(cookie) || refused_[cookie].why != why;
  refused_[cookie] = {boot_now() + kRetryAfter, why};
  if (is_new) {
    parts_.diary.notice(Priority::kWarning, "", "netns_not_held",
                        "a network namespace with processes of workloads cannot be entered: " + why);
  }
}

void TableNamespaces::tell_workloads(bool is_complete) {
  std::map<std::uint64_t, std::vector<std::string>> holes;
  for (const auto& [cookie, there] : found_) {
    const auto refused = refused_.find(cookie);
    for (const std::uint64_t id : there.cgroup_ids) {
      const bool is_held = entered_.contains(cookie);
      const std::string sentence =
          is_held || refused == refused_.end()
              ? std::string(kInBetween)
              : "processes of it are in a network namespace that cannot be entered, where nothing holds them: " +
                    refused->second.why;
      auto& list = holes[id];
      if (std::find(list.begin(), list.end(), sentence) == list.end()) list.push_back(sentence);
    }
  }
  parts_.registry.each([&](Workload& workload) {
    const auto found = holes.find(workload.cgroup_id);
    if (found != holes.end()) {
      workload.netns_holes = found->second;
    } else if (is_complete) {
      workload.netns_holes.clear();
    }
  });
}

std::vector<std::uint64_t> TableNamespaces::entered() const {
  std::vector<std::uint64_t> cookies;
  for (const auto& [cookie, ids] : entered_) cookies.push_back(cookie);
  return cookies;
}

std::vector<std::string> TableNamespaces::warnings() const {
  std::vector<std::string> out;
  for (const auto& [cookie, refused] : refused_) {
    out.push_back("a network namespace with processes of workloads cannot be entered: " + refused.why);
  }
  return out;
}

}  // namespace namewall::agent
