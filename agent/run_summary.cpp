#include "agent/run_summary.h"

#include <algorithm>
#include <map>

namespace namewall::agent {

std::vector<ReachedName> reached_names(const std::vector<bpf::GrantRecord>& grants, const PolicyImage& image) {
  std::map<std::string, ReachedName> by_name;
  for (const bpf::GrantRecord& record : grants) {
    if (record.hits == 0) continue;
    const std::string& name = record.grant.name.text();
    ReachedName& reached = by_name[name];
    reached.name = name;
    reached.ports = reached.ports.united(image.ports_of(record.current_ports & kAllPorts));
    reached.connects += record.hits;
  }
  std::vector<ReachedName> out;
  for (auto& [name, reached] : by_name) out.push_back(std::move(reached));
  std::stable_sort(out.begin(), out.end(),
                   [](const ReachedName& a, const ReachedName& b) { return a.connects > b.connects; });
  return out;
}

EventLosses event_losses(const bpf::Counters& counters, const RefusalTally& tally, std::uint64_t lost_by_sink) {
  EventLosses losses;
  losses.by_rate = tally.left_out();  // both kinds together, when the kernel's own counters cannot be read
  for (const auto& [name, value] : counters.counters) {
    if (name == "events_limited") losses.by_rate = value;
    if (name == "events_lost") losses.by_ring = value;
  }
  losses.by_sink = lost_by_sink;
  losses.by_tally = tally.beyond_bound();
  return losses;
}

}  // namespace namewall::agent
