#include "agent/run_summary.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace namewall::agent {

std::vector<ReachedName> reached_names(const std::vector<GrantRecord>& grants, const PolicyImage& image) {
  std::map<std::string, ReachedName> by_name;
  for (const GrantRecord& record : grants) {
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

std::vector<GrantedAddress> granted_addresses(const std::vector<GrantRecord>& grants, const PolicyImage& image,
                                              BootTime now) {
  std::vector<GrantedAddress> out;
  for (const GrantRecord& record : grants) {
    const Grant& grant = record.grant;
    if (grant.note != NW_REASON_NONE) continue;
    GrantedAddress granted{
        grant.name.text(), grant.address, image.ports_of(record.current_ports & kAllPorts), {}, record.hits};
    if (grant.deadline != kNever) granted.left = grant.deadline - now;
    out.push_back(std::move(granted));
  }
  std::sort(out.begin(), out.end(), [](const GrantedAddress& a, const GrantedAddress& b) {
    return std::tie(a.name, a.address) < std::tie(b.name, b.address);
  });
  return out;
}

EventLosses event_losses(const Counters& counters, const RefusalTally& tally, std::uint64_t lost_by_sink) {
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
