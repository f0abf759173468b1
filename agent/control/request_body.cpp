#include "agent/control/request_body.h"

#include <chrono>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "agent/control/json_text.h"
#include "policy/config_reader.h"
#include "policy/duration.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxRestrictEndpoints = 1000, kMaxRestrictLabel = 64;
constexpr std::int64_t kMaxTtlSeconds = std::chrono::duration_cast<std::chrono::seconds>(kMaxDuration).count();

class BodyReader {
 public:
  KeyReader string(std::string_view key, std::string& into) {
    return {key, [this, key, &into](const ConfigNode& node) {
              if (const std::string* text = reader_.read_string(node, key)) into = *text;
            }};
  }
  KeyReader strings(std::string_view key, std::string_view item, std::vector<std::string>& into) {
    return {key, [this, key, item, &into](const ConfigNode& node) {
              for (const ConfigNode* element : reader_.read_strings(node, key, item)) into.push_back(element->text);
            }};
  }
  KeyReader boolean(std::string_view key, bool& into) {
    return {key, [this, key, &into](const ConfigNode& node) {
              if (node.kind == ConfigNode::Kind::kBoolean) {
                into = node.truth;
              } else {
                wrong(node, key, "true or false");
              }
            }};
  }
  KeyReader seconds(std::string_view key, double& into) {
    return {key, [this, key, &into](const ConfigNode& node) {
              if (node.kind == ConfigNode::Kind::kInteger && node.integer > 0 && node.integer <= kMaxTtlSeconds) {
                into = static_cast<double>(node.integer);
              } else if (const auto duration = parse_duration(node.text); duration && duration->count() > 0) {
                into = std::chrono::duration<double>(*duration).count();
              } else {
                wrong(node, key, "a duration such as \"30m\", or seconds, up to one year");
              }
            }};
  }
  KeyReader labels(std::string_view key, std::map<std::string, std::string>& into) {
    return {key, [this, key, &into](const ConfigNode& node) {
              if (!reader_.is_table(node, key)) return;
              for (const ConfigEntry& entry : node.entries) {
                const std::string* text = reader_.read_string(entry.value, entry.key);
                if (text != nullptr && !into.emplace(entry.key, *text).second) {
                  reader_.error(entry.position, "label " + namewall::quoted(entry.key) + " is written twice");
                }
              }
            }};
  }
  KeyReader cgroup_id(std::string_view key, std::uint64_t& into) {
    return {key, [this, key, &into](const ConfigNode& node) {
              constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
              if (const auto id = reader_.read_integer(node, key, 1, kMax)) into = static_cast<std::uint64_t>(*id);
            }};
  }
  KeyReader process(std::string_view key, std::uint32_t& into) {
    return {key, [this, key, &into](const ConfigNode& node) {
              constexpr std::int64_t kMaxPid = 1 << 22;  // PID_MAX_LIMIT
              if (const auto pid = reader_.read_integer(node, key, 1, kMaxPid)) into = static_cast<std::uint32_t>(*pid);
            }};
  }
  static KeyReader present(KeyReader key, bool& is_present) {
    return {key.key, [read = std::move(key.read), &is_present](const ConfigNode& node) {
              is_present = true;
              read(node);
            }};
  }
  // The value of `key` in `body` as JSON text of its own.
  KeyReader object(std::string_view key, std::string_view body, std::string& into) {
    return {key, [this, key, body, &into](const ConfigNode& node) {
              if (!reader_.is_table(node, key)) return;
              refuse_twice_written(node);
              const auto json = nlohmann::json::parse(body, nullptr, false);
              if (const auto value = json.find(key); value != json.end()) into = json_text(*value);
            }};
  }

  Result<void> read(std::string_view body, std::span<const KeyReader> keys) {
    if (body.empty()) return {};
    const auto tree = parse_config(body, Format::kJson);
    if (!tree) {
      reader_.error(tree.error().position, tree.error().message);
    } else {
      reader_.read_table(*tree, {.table_name = "", .keys = keys, .of_host = {}, .elsewhere = {}, .elsewhere_name = ""});
    }
    const auto diagnostics = in_file_order(reader_.take_diagnostics());
    std::string what;
    for (const Diagnostic& diagnostic : diagnostics) what += (what.empty() ? "" : "\n") + diagnostic.to_string();
    if (what.empty()) return {};
    return fail(ErrorKind::kInvalid, std::move(what));
  }

 private:
  void wrong(const ConfigNode& node, std::string_view key, std::string_view accepted) {
    reader_.error(node.position,
                  "`" + std::string(key) + "` is " + found(node) + "; accepted: " + std::string(accepted));
  }
  // A parser of plain JSON would keep the last of them without a word. The tree is at most kMaxConfigDepth deep.
  void refuse_twice_written(const ConfigNode& node) {
    std::set<std::string_view> seen;
    for (const ConfigNode& item : node.items) refuse_twice_written(item);
    for (const ConfigEntry& entry : node.entries) {
      if (!seen.insert(entry.key).second)
        reader_.error(entry.position, namewall::quoted(entry.key) + " is written twice");
      refuse_twice_written(entry.value);
    }
  }

  ConfigReader reader_{"request"};
};

}  // namespace

Result<WorkloadRequest> read_workload_request(std::string_view body) {
  WorkloadRequest request;
  std::string policy_json;
  BodyReader reader;
  const std::vector<KeyReader> keys = {
      reader.string("cgroup", request.cgroup),
      reader.cgroup_id("cgroup_id", request.cgroup_id),
      reader.string("policy", request.policy),
      reader.string("policy_text", request.policy_text),
      reader.object("policy_json", body, policy_json),
      reader.labels("labels", request.labels),
      reader.seconds("ttl", request.ttl_s),
      reader.boolean("allow_partial", request.allow_partial),
      reader.string("reason", request.reason),
  };
  if (const Result<void> read = reader.read(body, keys); !read) return tl::unexpected(read.error());
  const int policies = !request.policy.empty() + !request.policy_text.empty() + !policy_json.empty();
  if (policies != 1) {
    return fail(ErrorKind::kInvalid, "a workload takes exactly one of `policy`, `policy_text` and `policy_json`");
  }
  if (request.cgroup.empty() == (request.cgroup_id == 0)) {
    return fail(ErrorKind::kInvalid, "a workload takes exactly one of `cgroup` and `cgroup_id`");
  }
  if (!policy_json.empty()) request.policy_text = std::move(policy_json);
  return request;
}

Result<RuleChange> read_rule_change(std::string_view body) {
  RuleChange change;
  BodyReader reader;
  const std::vector<KeyReader> keys = {
      reader.strings("add_allow", "an endpoint", change.add_allow),
      reader.strings("remove_allow", "an endpoint", change.remove_allow),
      reader.strings("add_deny", "an endpoint", change.add_deny),
      reader.strings("remove_deny", "an endpoint", change.remove_deny),
      reader.string("reason", change.reason),
  };
  if (const Result<void> read = reader.read(body, keys); !read) return tl::unexpected(read.error());
  if (change.add_allow.empty() && change.remove_allow.empty() && change.add_deny.empty() &&
      change.remove_deny.empty()) {
    return fail(ErrorKind::kInvalid,
                "nothing to change: give `add_allow`, `remove_allow`, `add_deny` or `remove_deny`");
  }
  return change;
}

Result<ExplainRequest> read_explain_request(std::string_view body) {
  ExplainRequest request;
  BodyReader reader;
  const std::vector<KeyReader> keys = {reader.string("workload", request.workload),
                                       reader.string("target", request.target)};
  if (const Result<void> read = reader.read(body, keys); !read) return tl::unexpected(read.error());
  return request;
}

Result<TeardownRequest> read_teardown_request(std::string_view body) {
  TeardownRequest request;
  BodyReader reader;
  const std::vector<KeyReader> keys = {reader.string("workload", request.workload),
                                       reader.string("reason", request.reason)};
  if (const Result<void> read = reader.read(body, keys); !read) return tl::unexpected(read.error());
  if (request.reason.empty()) return fail(ErrorKind::kInvalid, "lifting enforcement takes a `reason`, for the record");
  return request;
}

Result<RestrictRequest> read_restrict_request(std::string_view body) {
  RestrictRequest request;
  bool has_allow = false;
  BodyReader reader;
  const std::vector<KeyReader> keys = {
      reader.present(reader.strings("allow", "an endpoint", request.allow), has_allow),
      reader.process("child", request.child),
      reader.boolean("cooperative", request.cooperative),
      reader.string("label", request.label),
  };
  if (const Result<void> read = reader.read(body, keys); !read) return tl::unexpected(read.error());
  // A key that was forgotten must not mean "nothing", nor everything.
  if (!has_allow) return fail(ErrorKind::kInvalid, "`allow` is missing; an empty list is to reach nothing");
  if (request.allow.size() > kMaxRestrictEndpoints) {
    return fail(ErrorKind::kInvalid, "`allow` has more than " + std::to_string(kMaxRestrictEndpoints) + " endpoints");
  }
  if (request.label.size() > kMaxRestrictLabel) {
    return fail(ErrorKind::kInvalid, "`label` is longer than " + std::to_string(kMaxRestrictLabel) + " bytes");
  }
  return request;
}

Result<std::string> read_reason(std::string_view body) {
  std::string reason;
  BodyReader reader;
  const std::vector<KeyReader> keys = {reader.string("reason", reason)};
  if (const Result<void> read = reader.read(body, keys); !read) return tl::unexpected(read.error());
  return reason;
}

Result<void> read_nothing(std::string_view body) { return BodyReader().read(body, {}); }

}  // namespace namewall::agent
