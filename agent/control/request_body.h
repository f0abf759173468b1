// The JSON bodies of requests as what the host takes. Errors (kInvalid) name line and column, unknown keys with the one
// that was probably meant. An empty body is an empty object.
#pragma once

#include <string>
#include <string_view>

#include "agent/host/host.h"
#include "policy/result.h"

namespace namewall::agent {

struct ExplainRequest {
  std::string workload;  // "": the peer's own
  std::string target;    // "": the last refusal
};

struct TeardownRequest {
  std::string workload;  // "": all
  std::string reason;    // not empty
};

Result<WorkloadRequest> read_workload_request(std::string_view body);
Result<RuleChange> read_rule_change(std::string_view body);
Result<ExplainRequest> read_explain_request(std::string_view body);
Result<TeardownRequest> read_teardown_request(std::string_view body);
Result<RestrictRequest> read_restrict_request(std::string_view body);
Result<std::string> read_reason(std::string_view body);  // {"reason"}
Result<void> read_nothing(std::string_view body);        // {}

}  // namespace namewall::agent
