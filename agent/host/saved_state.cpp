#include "agent/host/saved_state.h"

#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const SavedWorkload& workload) {
  Json json = {{"name", workload.name},
               {"cgroup", workload.cgroup},
               {"cgroup_id", workload.cgroup_id},
               {"origin", workload.origin},
               {"policy", workload.policy},
               {"labels", workload.labels},
               {"armed_at", workload.armed_at},
               {"allow_partial", workload.allow_partial},
               {"policy_generation", workload.policy_generation}};
  if (workload.is_cooperative) json["is_cooperative"] = true;
  if (workload.ttl_end_unix_ms) json["ttl_end_unix_ms"] = *workload.ttl_end_unix_ms;
  return json;
}

Json json_of(const SavedFolder& folder) {
  Json json = {{"files", Json::array()}, {"lifted", Json::array()}};
  if (folder.host_text) json["host_text"] = *folder.host_text;
  for (const SavedFile& file : folder.files) {
    json["files"].push_back({{"file", file.file}, {"policy_text", file.policy_text}});
  }
  for (const SavedLift& lift : folder.lifted) {
    json["lifted"].push_back({{"cgroup", lift.cgroup}, {"policy", lift.policy}, {"policy_sha256", lift.policy_sha256}});
  }
  for (const SavedGroup& group : folder.groups) {
    json["groups"].push_back({{"name", group.name}, {"version", group.version}, {"endpoints", group.endpoints}});
  }
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
  Json take() { return std::move(texts_); }

 private:
  std::unordered_map<std::string, std::size_t> indexes_;
  Json texts_ = Json::array();
};

SavedWorkload workload_of(const Json& json) {
  SavedWorkload workload;
  json.at("name").get_to(workload.name);
  json.at("cgroup").get_to(workload.cgroup);
  json.at("cgroup_id").get_to(workload.cgroup_id);
  json.at("origin").get_to(workload.origin);
  json.at("policy").get_to(workload.policy);
  json.at("labels").get_to(workload.labels);
  json.at("armed_at").get_to(workload.armed_at);
  json.at("allow_partial").get_to(workload.allow_partial);
  if (json.contains("policy_generation")) json["policy_generation"].get_to(workload.policy_generation);
  if (json.contains("is_cooperative")) json["is_cooperative"].get_to(workload.is_cooperative);
  if (json.contains("ttl_end_unix_ms")) workload.ttl_end_unix_ms = json["ttl_end_unix_ms"].get<std::int64_t>();
  return workload;
}

SavedFolder folder_of(const Json& json) {
  SavedFolder folder;
  if (json.contains("host_text")) folder.host_text = json["host_text"].get<std::string>();
  for (const Json& part : json.at("files")) {
    folder.files.push_back({part.at("file").get<std::string>(), part.at("policy_text").get<std::string>()});
  }
  for (const Json& part : json.at("lifted")) {
    folder.lifted.push_back({part.at("cgroup").get<std::string>(), part.at("policy").get<std::string>(),
                             part.at("policy_sha256").get<std::string>()});
  }
  if (!json.contains("groups")) return folder;
  for (const Json& part : json["groups"]) {
    folder.groups.push_back({part.at("name").get<std::string>(), part.at("version").get<std::string>(),
                             part.at("endpoints").get<std::vector<std::string>>()});
  }
  return folder;
}

// A cgroup's path may hold any bytes; the id beside it is what identifies it.
std::string line_of(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n"; }

// Line by line into a state. Throws Json::exception.
class Replay {
 public:
  explicit Replay(SavedState& state) : state_(state) {}

  void begin(const Json& json) {
    json.at("boot_id").get_to(state_.boot_id);
    json.at("generation").get_to(state_.generation);
    const Json& texts = json.at("policy_texts");
    for (const auto& part : json.at("workloads")) {
      SavedWorkload workload = workload_of(part);
      if (part.contains("policy_text")) texts.at(part["policy_text"].get<std::size_t>()).get_to(workload.policy_text);
      put(std::move(workload));
    }
    state_.folder = folder_of(json.at("folder"));
  }
  void apply(const Json& json) {
    json.at("generation").get_to(state_.generation);
    if (json.contains("erase")) {
      erase(json["erase"].get<std::string>());
      return;
    }
    if (json.contains("folder")) {
      state_.folder = folder_of(json["folder"]);
      return;
    }
    const Json& part = json.at("put");
    SavedWorkload workload = workload_of(part);
    part.at("policy_text").get_to(workload.policy_text);
    put(std::move(workload));
  }

 private:
  void put(SavedWorkload workload) {
    const auto [found, is_new] = places_.try_emplace(workload.name, state_.workloads.size());
    if (is_new) {
      state_.workloads.push_back(std::move(workload));
    } else {
      state_.workloads[found->second] = std::move(workload);
    }
  }
  void erase(const std::string& name) {
    const auto found = places_.find(name);
    if (found == places_.end()) return;
    const std::size_t place = found->second;
    places_.erase(found);
    if (place + 1 != state_.workloads.size()) {
      state_.workloads[place] = std::move(state_.workloads.back());
      places_[state_.workloads[place].name] = place;
    }
    state_.workloads.pop_back();
  }

  SavedState& state_;
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace

std::string saved_state_to_json(const SavedState& state) {
  TextPool pool;
  Json workloads = Json::array();
  for (const auto& workload : state.workloads) {
    workloads.push_back(json_of(workload));
    if (!workload.policy_text.empty()) workloads.back()["policy_text"] = pool.index_of(workload.policy_text);
  }
  Json json = {{"version", kSavedStateVersion}, {"boot_id", state.boot_id}, {"generation", state.generation}};
  json["policy_texts"] = pool.take();
  json["workloads"] = std::move(workloads);
  json["folder"] = json_of(state.folder);
  return line_of(json);
}

std::string saved_put_to_json(const SavedWorkload& workload, std::uint64_t generation) {
  Json json = {{"generation", generation}};
  json["put"] = json_of(workload);
  json["put"]["policy_text"] = workload.policy_text;
  return line_of(json);
}

std::string saved_erase_to_json(const std::string& workload, std::uint64_t generation) {
  return line_of({{"generation", generation}, {"erase", workload}});
}

Result<SavedState> saved_state_from_json(std::string_view text) {
  if (text.size() > kMaxSavedState) return fail(ErrorKind::kLimit, "the saved state is larger than 64 MiB");
  SavedState state;
  Replay replay(state);
  std::size_t line = 1;
  try {
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n'), ++line) {
      const Json json = Json::parse(text.substr(0, end));
      text.remove_prefix(end + 1);
      if (line > 1) {
        replay.apply(json);
        continue;
      }
      const int version = json.at("version").get<int>();
      if (version != kSavedStateVersion) {
        return fail(ErrorKind::kConflict, "the saved state has version " + std::to_string(version) +
                                              ", and this namewalld knows version " +
                                              std::to_string(kSavedStateVersion));
      }
      replay.begin(json);
    }
  } catch (const Json::exception& problem) {
    return fail(ErrorKind::kInvalid, "the saved state is damaged in line " + std::to_string(line) + ": " +
                                         escape_for_display(problem.what()));
  }
  if (line == 1) return fail(ErrorKind::kInvalid, "the saved state is damaged: its first line has no end");
  return state;
}

std::string saved_folder_to_json(const SavedFolder& folder, std::uint64_t generation) {
  Json json = {{"generation", generation}};
  json["folder"] = json_of(folder);
  return line_of(json);
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
