#include "agent/host/saved_state.h"

#include <nlohmann/json.hpp>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const SavedWorkload& workload) {
  Json json = {{"name", workload.name},           {"cgroup", workload.cgroup},
               {"cgroup_id", workload.cgroup_id}, {"origin", workload.origin},
               {"policy", workload.policy},       {"labels", workload.labels},
               {"armed_at", workload.armed_at},   {"allow_partial", workload.allow_partial}};
  if (workload.ttl_end_unix_ms) json["ttl_end_unix_ms"] = *workload.ttl_end_unix_ms;
  return json;
}

// Texts by their index in "policy_texts".
class TextPool {
 public:
  std::size_t index_of(const std::string& text) {
    const auto [found, is_new] = indexes_.try_emplace(text, texts_.size());
    if (is_new) texts_.push_back(text);
    return found->second;
  }
  const Json& texts() const { return texts_; }

 private:
  std::map<std::string, std::size_t> indexes_;
  Json texts_ = Json::array();
};

SavedWorkload workload_of(const Json& json, const Json& texts) {
  SavedWorkload workload;
  json.at("name").get_to(workload.name);
  json.at("cgroup").get_to(workload.cgroup);
  json.at("cgroup_id").get_to(workload.cgroup_id);
  json.at("origin").get_to(workload.origin);
  json.at("policy").get_to(workload.policy);
  json.at("labels").get_to(workload.labels);
  json.at("armed_at").get_to(workload.armed_at);
  json.at("allow_partial").get_to(workload.allow_partial);
  if (json.contains("ttl_end_unix_ms")) workload.ttl_end_unix_ms = json["ttl_end_unix_ms"].get<std::int64_t>();
  if (json.contains("policy_text")) texts.at(json["policy_text"].get<std::size_t>()).get_to(workload.policy_text);
  return workload;
}

}  // namespace

std::string saved_state_to_json(const SavedState& state) {
  TextPool pool;
  Json workloads = Json::array();
  for (const auto& workload : state.workloads) {
    workloads.push_back(json_of(workload));
    if (!workload.policy_text.empty()) workloads.back()["policy_text"] = pool.index_of(workload.policy_text);
  }
  const Json json = {{"version", kSavedStateVersion},
                     {"boot_id", state.boot_id},
                     {"generation", state.generation},
                     {"policy_texts", pool.texts()},
                     {"workloads", std::move(workloads)}};
  // A cgroup's path may hold any bytes; the id beside it is what identifies it.
  return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

Result<SavedState> saved_state_from_json(std::string_view text) {
  if (text.size() > kMaxSavedState) return fail(ErrorKind::kLimit, "the saved state is larger than 64 MiB");
  try {
    const Json json = Json::parse(text);
    const int version = json.at("version").get<int>();
    if (version != kSavedStateVersion) {
      return fail(ErrorKind::kConflict, "the saved state has version " + std::to_string(version) +
                                            ", and this namewalld knows version " + std::to_string(kSavedStateVersion));
    }
    SavedState state;
    json.at("boot_id").get_to(state.boot_id);
    json.at("generation").get_to(state.generation);
    const Json& texts = json.at("policy_texts");
    for (const auto& workload : json.at("workloads")) state.workloads.push_back(workload_of(workload, texts));
    return state;
  } catch (const Json::exception& problem) {
    return fail(ErrorKind::kInvalid, "the saved state is damaged: " + escape_for_display(problem.what()));
  }
}

std::optional<std::string> keep_state_of_this_boot(SavedState& state, const std::string& boot_id) {
  if (state.boot_id == boot_id) return std::nullopt;
  const std::size_t dropped = state.workloads.size();
  state.workloads.clear();
  state.boot_id = boot_id;
  if (dropped == 0) return std::nullopt;
  return "the host has started anew: " + std::to_string(dropped) +
         (dropped == 1 ? " workload of the boot before is" : " workloads of the boot before are") + " forgotten";
}

}  // namespace namewall::agent
