// All parts of the daemon, each given the ones that it works with. Nothing happens here.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/host/daemon_options.h"
#include "agent/host/daemon_privileges.h"
#include "agent/host/daemon_proxy.h"
#include "agent/host/damage_watch.h"
#include "agent/host/event_intake.h"
#include "agent/host/event_loop.h"
#include "agent/host/folder_reload.h"
#include "agent/host/folder_watcher.h"
#include "agent/host/host_service.h"
#include "agent/host/life_sign.h"
#include "agent/host/reap_round.h"
#include "agent/host/state_keeper.h"
#include "agent/host/table_namespaces.h"

namespace namewall::agent {

// What can fail to open, besides what needs root.
struct DaemonSources {
  static Result<DaemonSources> open(const DaemonOptions& options);

  FileDescriptor signals;  // SIGTERM, SIGINT, SIGHUP, blocked from now on
  CgroupWatcher cgroups;
  CgroupEnds ends;
  EmptyCgroups emptied;
  EventHub hub;
  EventLoop loop;
  FolderWatcher folder;
  LifeSign life;
};

struct DaemonParts {
  DaemonParts(const DaemonOptions& options, PrivilegedStart&& privileged, DaemonSources&& opened,
              std::function<void()> settings_changed);
  DaemonParts(const DaemonParts&) = delete;

  PrivilegedStart root;
  DaemonSources sources;
  JournalLog log{{}};
  ChangeRecord changes;
  EventLog event_log{LogNames::kRefused, {}};
  ServiceNotify notify = ServiceNotify::from_environment();
  HostDiary diary;
  HostParts host;
  FlowQueue flows;
  WorkloadArming arming;
  Reconciler reconciler;
  DaemonProxy proxy;
  TableNamespaces tables;
  InspectionRound inspections;
  ProofRound proofs;
  CounterTotals totals;
  UsageCache usage;
  WorkloadViews views;
  HostStatus status;
  WorkloadCalls calls;
  WorkloadLifting lifting;
  WorkloadRestriction restriction;
  FolderReload reload;
  NetnsAnswers answers;
  EventIntake intake;
  DamageWatch damage;
  ReapRound reaping;
  StateKeeper state;
  HostService service;
};

}  // namespace namewall::agent
