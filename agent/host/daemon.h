// namewalld: joins the parts and turns the loop. Enforcement lives in the kernel and outlives this; nothing here lifts
// it when it ends, however it ends.
#pragma once

#include <memory>

#include "agent/host/daemon_options.h"
#include "policy/result.h"

namespace namewall::agent {

class HostDaemon {
 public:
  // Adopts what the kernel holds, brings the folder's policies into force, answers the control socket. The errors of
  // start_privileged() and of what it opens.
  static Result<HostDaemon> start(const DaemonOptions& options);
  HostDaemon(HostDaemon&&) noexcept;
  HostDaemon& operator=(HostDaemon&&) noexcept;
  ~HostDaemon();

  // Until SIGTERM or SIGINT. SIGHUP reloads.
  Result<void> run();

 private:
  struct Loop;
  explicit HostDaemon(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace namewall::agent
