#include "agent/control/routes.h"

#include <array>

namespace namewall::agent {
namespace {

constexpr std::array<std::string_view, 4> kEventQuery = {"workload", "reason", "since", "follow"};

constexpr std::array<Route, 18> kRoutes = {{
    {Endpoint::kStatus, "GET", "/v1/status", Right::kRead, BodySize::kNone},
    {Endpoint::kWorkloads, "GET", "/v1/workloads", Right::kRead, BodySize::kNone},
    {Endpoint::kWorkload, "GET", "/v1/workloads/{name}", Right::kRead, BodySize::kNone},
    {Endpoint::kPut, "PUT", "/v1/workloads/{name}", Right::kChange, BodySize::kPolicy},
    {Endpoint::kPatch, "PATCH", "/v1/workloads/{name}", Right::kChange, BodySize::kPolicy},
    {Endpoint::kRemove, "DELETE", "/v1/workloads/{name}", Right::kChange, BodySize::kSmall},
    {Endpoint::kGrants, "GET", "/v1/workloads/{name}/grants", Right::kRead, BodySize::kNone},
    {Endpoint::kSets, "GET", "/v1/workloads/{name}/sets", Right::kRead, BodySize::kNone},
    {Endpoint::kProve, "POST", "/v1/workloads/{name}/test", Right::kChange, BodySize::kSmall},
    {Endpoint::kEvents, "GET", "/v1/events", Right::kRead, BodySize::kNone, kEventQuery},
    {Endpoint::kAllSets, "GET", "/v1/sets", Right::kRead, BodySize::kNone},
    {Endpoint::kRepair, "POST", "/v1/sets/repair", Right::kChange, BodySize::kSmall},
    {Endpoint::kMetrics, "GET", "/v1/metrics", Right::kRead, BodySize::kNone},
    {Endpoint::kSelf, "GET", "/v1/self", Right::kOwn, BodySize::kNone},
    {Endpoint::kRestrict, "POST", "/v1/restrict", Right::kOwn, BodySize::kSmall},
    {Endpoint::kReload, "POST", "/v1/reload", Right::kChange, BodySize::kSmall},
    {Endpoint::kExplain, "POST", "/v1/explain", Right::kOwn, BodySize::kSmall},
    {Endpoint::kTeardown, "POST", "/v1/teardown", Right::kChange, BodySize::kSmall},
}};

// Whether the segments are those of `path`; `name` takes the one in the place of "{name}".
bool is_path(std::string_view path, std::span<const std::string> segments, std::string& name) {
  for (const std::string& segment : segments) {
    if (path.empty()) return false;
    path.remove_prefix(1);
    const std::string_view wanted = path.substr(0, path.find('/'));
    path.remove_prefix(wanted.size());
    if (wanted == "{name}") {
      name = segment;
    } else if (wanted != segment) {
      return false;
    }
  }
  return path.empty();
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

RouteChoice choose_route(std::string_view method, std::span<const std::string> segments) {
  RouteChoice choice;
  for (const Route& route : kRoutes) {
    std::string name;
    if (!is_path(route.path, segments, name)) continue;
    choice.name = name;
    choice.allow += std::string(route.method) + (route.method == "GET" ? ", HEAD, " : ", ");
    if (route.method == method || (method == "HEAD" && route.method == "GET")) choice.route = &route;
  }
  if (!choice.allow.empty()) choice.allow += "OPTIONS";
  return choice;
}

}  // namespace namewall::agent
