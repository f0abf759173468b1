// Brings what the policy files say now into force, for everybody who asks: the folder's watcher, SIGHUP, a call.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/host.h"
#include "agent/host/host_parts.h"
#include "agent/host/reconciler.h"
#include "agent/public_suffix.h"

namespace namewall::agent {

struct FolderPaths {
  std::string policies;  // directory
  std::string host_file;
  std::string groups;  // directory of the shipped groups
};

class FolderReload {
 public:
  // `settings_changed` is called when host.toml's settings are others than before.
  FolderReload(HostParts& parts, WorkloadArming& arming, Reconciler& reconciler, FolderPaths paths,
               std::function<void()> settings_changed)
      : parts_(parts),
        arming_(arming),
        reconciler_(reconciler),
        paths_(std::move(paths)),
        settings_changed_(std::move(settings_changed)) {}

  // Everything is validated before anything changes; a broken file keeps what it had. `peer` nullptr: the daemon
  // itself.
  ReloadView reload(const Peer* peer);
  // `watch` is told after each reading which other files the policies in force were made from.
  void watch_others_by(std::function<void(std::set<std::string>)> watch) { watch_others_ = std::move(watch); }
  // The first reading, before anything is armed. Its errors.
  std::vector<std::string> read_first();

 private:
  void read();
  void follow_lifted();
  void renew_calls(std::vector<std::string>& errors);

  HostParts& parts_;
  WorkloadArming& arming_;
  Reconciler& reconciler_;
  FolderPaths paths_;
  std::function<void()> settings_changed_;
  std::function<void(std::set<std::string>)> watch_others_;
  std::function<bool(std::string_view)> is_public_suffix_ = read_public_suffixes();
};

}  // namespace namewall::agent
