#include "agent/host/proxy_counts.h"

namespace namewall::agent {

std::map<std::string, std::uint64_t> proxy_counts(const ProxyFigures& figures) {
  std::map<std::string, std::uint64_t> counts;
#define NW_PROXY_COUNT(name) counts[#name] = figures.name;
  NW_PROXY_COUNTERS(NW_PROXY_COUNT)
#undef NW_PROXY_COUNT
  counts["cached_bytes"] = figures.cached_bytes;
  counts["waiting"] = figures.waiting;
  counts["in_flight"] = figures.in_flight;
  return counts;
}

bool is_gauge_of_proxy(const std::string& count) {
  return count == "cached_bytes" || count == "waiting" || count == "in_flight";
}

std::string text_of(const ResolverAddress& resolver) {
  const std::string host = resolver.address.to_string();
  return (resolver.address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(resolver.port.number);
}

}  // namespace namewall::agent
