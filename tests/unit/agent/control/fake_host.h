// A host for tests of the control socket: remembers what it was asked, answers with recognisable values, and has events
// when the test says so. Used by the server's thread and the test's.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "agent/host/host.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {

class FakeHost : public Host {
 public:
  StatusView status() override {
    StatusView view;
    view.version = "9.9";
    view.state = "enforcing";
    return view;
  }
  std::vector<WorkloadView> list() override {
    std::vector<WorkloadView> views(listed);
    for (std::size_t i = 0; i < views.size(); ++i) views[i].name = "job-" + std::to_string(i);
    return views;
  }
  Result<WorkloadDetail> show(const std::string& workload) override {
    if (workload == "absent") return fail(ErrorKind::kNotFound, "there is no workload absent");
    WorkloadDetail detail;
    detail.workload.name = workload;
    return detail;
  }
  Result<std::vector<GrantView>> grants(const std::string& workload) override {
    if (workload == "absent") return fail(ErrorKind::kNotFound, "there is no workload absent");
    GrantView grant;
    grant.name = "name of " + workload;
    return std::vector<GrantView>{grant};
  }
  Result<WorkloadSets> sets(const std::string& workload) override {
    if (workload == "absent") return fail(ErrorKind::kNotFound, "there is no workload absent");
    WorkloadSets sets;
    sets.workload.workload = workload;
    sets.workload.cgroup_id = 7;
    sets.workload.rules = {"https://a.example"};
    sets.grants.resize(grants_of_sets, {"a.example", *parse_address("192.0.2.1"), 0, 0, 1500, 20, 10, -1});
    return sets;
  }
  std::vector<std::string> armed_workloads() override { return {"one", "absent", "two"}; }
  SetsHost sets_of_host() override { return {{"a rule of chain output is gone"}}; }
  Result<RepairView> repair(const Peer& peer) override {
    static_cast<void>(change("repair", peer, ""));
    RepairView view;
    view.unknown = 3;
    return view;
  }
  std::string metrics() override { return "namewall_up 1\n"; }
  SelfView self(const Peer& peer) override {
    SelfView view;
    view.confined = peer.cgroup.starts_with(confined_prefix);
    view.workload = view.confined ? peer.cgroup.substr(1) : "";
    return view;
  }
  Result<ExplainView> explain(const Peer& peer, const std::string& workload, const std::string& target) override {
    ExplainView view;
    view.workload = workload.empty() ? "own of " + peer.cgroup : workload;
    view.target = target;
    return view;
  }
  Result<ChangeView> put(const Peer& peer, const std::string& workload, const WorkloadRequest& request) override {
    put_request = request;
    return change("put", peer, workload);
  }
  Result<ChangeView> patch(const Peer& peer, const std::string& workload, const RuleChange& rules) override {
    rule_change = rules;
    return change("patch", peer, workload);
  }
  Result<ChangeView> remove(const Peer& peer, const std::string& workload, const std::string& why) override {
    reason = why;
    return change("remove", peer, workload);
  }
  RestrictOutcome restrict(const Peer& peer, const RestrictRequest& request) override {
    static_cast<void>(change("restrict", peer, std::to_string(request.child)));
    restrict_request = request;
    if (obstacle != RestrictObstacle::kNone) return {fail(ErrorKind::kConflict, "it stands against it"), obstacle};
    RestrictView view;
    view.workload = "restrict:1-1";
    view.depth = 1;
    return {std::move(view), RestrictObstacle::kNone};
  }
  ReloadView reload(const Peer& peer) override {
    static_cast<void>(change("reload", peer, ""));
    ReloadView view;
    view.ok = true;
    return view;
  }
  Result<ProofView> prove(const std::string& workload) override {
    ProofView view;
    view.workload = workload;
    view.passed = true;
    return view;
  }
  Result<ChangeView> teardown(const Peer& peer, const std::string& workload, const std::string& why) override {
    reason = why;
    return change("teardown", peer, workload);
  }

  std::vector<EventView> events(const EventFilter& filter, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<EventView> found;
    for (const EventView& event : events_) {
      if (found.size() == limit) break;
      if (event.sequence <= filter.since_sequence) continue;
      if (!filter.workload.empty() && event.workload != filter.workload) continue;
      if (!filter.reason.empty() && event.reason != filter.reason) continue;
      found.push_back(event);
    }
    return found;
  }
  std::uint64_t newest_event() const override {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }
  int event_signal_fd() const override { return signal_.get(); }

  void add_events(std::size_t count, const std::string& workload, const std::string& name = "x.example") {
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < count; ++i) {
        EventView event;
        event.sequence = events_.size() + 1;
        event.kind = "refused";
        event.workload = workload;
        event.reason = "name_not_allowed";
        event.name = name;
        events_.push_back(event);
      }
    }
    ::eventfd_write(signal_.get(), 1);
  }
  std::vector<std::string> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  // Set before the server runs, read after its answer.
  std::string confined_prefix = "/confined";
  std::size_t listed = 2;
  std::size_t grants_of_sets = 1;
  Result<void> change_result;
  WorkloadRequest put_request;
  RuleChange rule_change;
  std::string reason;
  RestrictRequest restrict_request;
  RestrictObstacle obstacle = RestrictObstacle::kNone;

 private:
  Result<ChangeView> change(const std::string& what, const Peer& peer, const std::string& workload) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(what + " " + workload + " by " + std::to_string(peer.uid));
    if (!change_result) return tl::unexpected(change_result.error());
    ChangeView view;
    view.workload = workload;
    view.generation = 7;
    return view;
  }

  mutable std::mutex mutex_;
  std::vector<EventView> events_;
  std::vector<std::string> calls_;
  FileDescriptor signal_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
};

}  // namespace namewall::agent
