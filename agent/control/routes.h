// The requests that the control socket knows. docs/openapi.json describes the same, and a test compares them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/control/access.h"

namespace namewall::agent {

enum class Endpoint {
  kStatus,
  kWorkloads,
  kWorkload,
  kGrants,
  kEvents,
  kMetrics,
  kSelf,
  kPut,
  kPatch,
  kRemove,
  kRestrict,
  kReload,
  kExplain,
  kProve,
  kTeardown,
  kSets,
  kAllSets,
  kRepair,
};

enum class BodySize { kNone, kSmall, kPolicy };

struct Route {
  Endpoint endpoint;
  std::string_view method;
  std::string_view path;  // "{name}": one segment, a workload's name with "/" as "%2F"
  Right right;            // at least; kExplain of another workload needs kRead
  BodySize body;
  std::span<const std::string_view> query = {};  // accepted keys
};

std::span<const Route> routes();

struct RouteChoice {
  const Route* route = nullptr;  // nullptr: no route of this method
  std::string name;              // of the workload
  std::string allow;             // methods of this path, "GET, HEAD, OPTIONS"; "": no such path
};

// HEAD finds the route of GET.
RouteChoice choose_route(std::string_view method, std::span<const std::string> segments);

}  // namespace namewall::agent
