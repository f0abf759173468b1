// What a request asks for: its path and query as raw bytes of the request line, taken apart before they are decoded, so
// that an encoded slash stays inside its segment.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

struct RequestTarget {
  std::vector<std::string> segments;         // "/v1/workloads/ci%2Fjob" -> {"v1", "workloads", "ci/job"}
  std::map<std::string, std::string> query;  // a key without "=" has the value ""
};

// kInvalid: no path, a bad escape, a control character, a key twice.
Result<RequestTarget> parse_request_target(std::string_view target);

// Names of workloads: 1 to 128 of A-Z a-z 0-9 . _ : @ / -; between slashes neither nothing nor "." nor "..".
bool is_workload_name(std::string_view name);

}  // namespace namewall::agent
