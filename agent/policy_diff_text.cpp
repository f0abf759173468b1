#include "agent/policy_diff_text.h"

#include <nlohmann/json.hpp>

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const std::vector<AccessChange>& changes) {
  Json list = Json::array();
  for (const AccessChange& change : changes) list.push_back({{"subject", change.subject}, {"what", change.what}});
  return list;
}

}  // namespace

std::string to_text(const PolicyDiff& diff) {
  std::string text;
  for (const AccessChange& change : diff.opens) text += to_string(change) + "\n";
  for (const AccessChange& change : diff.closes) text += to_string(change) + "\n";
  for (const std::string& change : diff.changes) text += "changes " + change + "\n";
  return text.empty() ? "no difference\n" : text;
}

std::string to_json(const PolicyDiff& diff) {
  Json out;
  out["widens"] = diff.widens();
  out["opens"] = json_of(diff.opens);
  out["closes"] = json_of(diff.closes);
  out["changes"] = diff.changes;
  return out.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace namewall::agent
