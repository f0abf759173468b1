#include "agent/client/request_json.h"

#include <nlohmann/json.hpp>

namespace namewall::agent {
namespace {

// Bytes that are no UTF-8 (a file name, a policy) become U+FFFD: the daemon then says what it found.
std::string text_of(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string arm_request(const std::string& cgroup, const std::string& policy_text, bool allow_partial) {
  return text_of({{"cgroup", cgroup}, {"policy_text", policy_text}, {"allow_partial", allow_partial}});
}

std::string explain_request(const std::string& workload, const std::string& target) {
  nlohmann::json json = nlohmann::json::object();
  if (!workload.empty()) json["workload"] = workload;
  if (!target.empty()) json["target"] = target;
  return text_of(json);
}

std::string teardown_request(const std::string& workload, const std::string& reason) {
  nlohmann::json json = {{"reason", reason}};
  if (!workload.empty()) json["workload"] = workload;
  return text_of(json);
}

}  // namespace namewall::agent
