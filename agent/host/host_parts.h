// What the parts of the daemon work on together. The daemon makes it; it outlives all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "agent/host/cgroup_ends.h"
#include "agent/host/cgroup_watcher.h"
#include "agent/host/event_hub.h"
#include "agent/host/folder_snapshot.h"
#include "agent/host/held_policy.h"
#include "agent/host/host_diary.h"
#include "agent/host/host_figures.h"
#include "agent/host/lifted_places.h"
#include "agent/host/privileged_helper.h"
#include "agent/host/workload_registry.h"
#include "agent/policy_context.h"
#include "policy/backend.h"

namespace namewall::agent {

struct HostParts {
  HostParts(HostBackend& enforcer_, PrivilegedHelper& helper_, CgroupWatcher& cgroups_, CgroupEnds& ends_,
            EventHub& hub_, HostDiary& diary_)
      : enforcer(enforcer_), helper(helper_), cgroups(cgroups_), ends(ends_), hub(hub_), diary(diary_) {}

  HostBackend& enforcer;
  PrivilegedHelper& helper;
  CgroupWatcher& cgroups;
  CgroupEnds& ends;
  EventHub& hub;
  HostDiary& diary;

  std::uint64_t own_netns = 0;  // cookie
  int proxy_fd = -1;            // readable: serve_proxy(), for whoever keeps the loop waiting
  std::function<void()> serve_proxy;
  WorkloadRegistry registry;
  PolicyShelf shelf;
  PolicyContext context;  // shipped, as it was when the folder was read
  FolderSnapshot folder;
  LiftedPlaces lifted;
  bool is_folder_unsaved = false;  // one of these two changed since the state file was written
  HostFigures figures;
  std::vector<std::string> errors;  // of the last reconciliation: what could not be held, a sentence each
  std::vector<Address> own_addresses;
  std::set<std::string> unsaved;  // workloads by call that changed or ended since the state file was written

  const HostSettings& settings() const {
    static const HostSettings kDefaults;
    return folder.host.in_force ? folder.host.in_force->file.settings : kDefaults;
  }
  // What a policy by call may refer to. Valid until the folder is read again.
  LoadContext load_context() const {
    LoadContext all = context.get();
    all.groups = folder.groups;
    return all;
  }
  HeldPolicyPtr hold(const std::shared_ptr<const PolicyVersion>& version) {
    return shelf.hold(version, folder.host.in_force);
  }
};

}  // namespace namewall::agent
