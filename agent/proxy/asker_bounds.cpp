#include "agent/proxy/asker_bounds.h"

#include <algorithm>

namespace namewall::agent {

bool is_listed_name(const PolicyImage& image, std::string_view name) {
  const auto at = std::lower_bound(image.names.begin(), image.names.end(), name,
                                   [](const NameNode& node, std::string_view wanted) { return node.name < wanted; });
  return at != image.names.end() && at->name == name && !at->is_below;  // exact before below
}

Reason AskerBounds::find_bound(const DnsBounds& bounds, std::optional<std::uint64_t> wildcard_name, Share share,
                               BootTime now) const {
  const std::uint32_t room = share == Share::kWhole ? bounds.in_flight : (bounds.in_flight + 1) / 2;
  if (unanswered_ >= room) return NW_REASON_QUERIES_IN_FLIGHT;
  if (!rate_.has(bounds.per_second, share, now)) return NW_REASON_QUERY_RATE;
  if (wildcard_name && !known_.has(*wildcard_name) && !fresh_.has(bounds.fresh_per_second, share, now)) {
    return NW_REASON_FRESH_NAMES;
  }
  return NW_REASON_NONE;
}

void AskerBounds::take(const DnsBounds& bounds, std::optional<std::uint64_t> wildcard_name, BootTime now) {
  ++unanswered_;
  rate_.take(bounds.per_second, now);
  if (!wildcard_name) return;
  if (!known_.has(*wildcard_name)) fresh_.take(bounds.fresh_per_second, now);
  known_.add(*wildcard_name);
}

}  // namespace namewall::agent
