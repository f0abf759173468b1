// What the DNS proxy counts, by name, for views and metrics. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "agent/proxy/proxy_core.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

// The counters, and what is so now: "cached_bytes", "waiting", "in_flight".
std::map<std::string, std::uint64_t> proxy_counts(const ProxyFigures& figures);
bool is_gauge_of_proxy(const std::string& count);

std::string text_of(const ResolverAddress& resolver);  // "10.0.0.2:53", "[2001:db8::53]:53"

}  // namespace namewall::agent
