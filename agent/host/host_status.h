// What is told of the whole host: the status view, and the values of the metrics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/host/counter_totals.h"
#include "agent/host/daemon_proxy.h"
#include "agent/host/host_parts.h"
#include "agent/host/host_view.h"
#include "agent/host/metrics_text.h"
#include "agent/host/usage_cache.h"

namespace namewall::agent {

class HostStatus {
 public:
  HostStatus(HostParts& parts, UsageCache& usage, CounterTotals& totals, const DaemonProxy& proxy)
      : parts_(parts), usage_(usage), totals_(totals), proxy_(proxy) {}

  StatusView status(BootTime now);
  MetricsInput metrics(BootTime now);
  // Of the daemon itself, a sentence each: "the state file cannot be written".
  void set_warnings(std::vector<std::string> warnings) { warnings_ = std::move(warnings); }

 private:
  void add_policies(StatusView& view, BootTime now) const;
  void add_workloads(StatusView& view, BootTime now) const;
  void add_proxy(StatusView& view) const;
  void conclude(StatusView& view) const;

  HostParts& parts_;
  UsageCache& usage_;
  CounterTotals& totals_;
  const DaemonProxy& proxy_;
  std::vector<std::string> warnings_;
};

}  // namespace namewall::agent
