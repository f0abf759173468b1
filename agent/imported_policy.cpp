#include "agent/imported_policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "policy/domain_name.h"
#include "policy/escape.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxNameCharacters = 63;

// A string of TOML, and of JSON: what reaches it from a document is escaped.
std::string toml_string(std::string_view text) {
  std::string out = Json(std::string(text)).dump(-1, ' ', true, Json::error_handler_t::replace);
  for (std::size_t at = out.find('\x7f'); at != std::string::npos; at = out.find('\x7f', at)) {
    out.replace(at, 1, "\\u007f");
  }
  return out;
}

void append_rules(std::string& out, std::string_view key, const std::vector<ImportedRule>& rules) {
  if (rules.empty()) return;
  out += std::string(key) + " = [\n";
  for (const ImportedRule& rule : rules) {
    out += "  " + toml_string(rule.endpoint) + ",  # " + escape_for_display(rule.path) + ", " +
           escape_for_display(rule.origin.to_string()) + "\n";
  }
  out += "]\n";
}

Json to_tree(const ImportRemark& remark) {
  return {{"path", remark.path},
          {"file", remark.origin.file},
          {"line", remark.origin.line},
          {"column", remark.origin.column},
          {"sentence", remark.sentence}};
}

Json to_tree(const std::vector<ImportRemark>& remarks) {
  Json list = Json::array();
  for (const ImportRemark& remark : remarks) list.push_back(to_tree(remark));
  return list;
}

Json to_tree(const std::vector<ImportedRule>& rules) {
  Json list = Json::array();
  for (const ImportedRule& rule : rules) {
    list.push_back({{"endpoint", rule.endpoint},
                    {"path", rule.path},
                    {"file", rule.origin.file},
                    {"line", rule.origin.line},
                    {"column", rule.origin.column}});
  }
  return list;
}

}  // namespace

std::string to_policy_name(std::string_view name) {
  std::string out;
  for (const char c : fold_ascii_case(name)) {
    const bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!is_alphanumeric && out.empty()) continue;  // the first is a letter or digit
    out += is_alphanumeric || c == '.' || c == '_' ? c : '-';
    if (out.size() == kMaxNameCharacters) break;
  }
  return out.empty() ? "imported" : out;
}

std::string to_toml(const ImportedPolicy& policy) {
  std::string out = "# Imported from " + escape_for_display(policy.source) + ".\n";
  for (const ImportRemark& note : policy.notes) {
    const std::string path = note.path.empty() ? "" : escape_for_display(note.path) + ", ";
    out += "# Note (" + path + escape_for_display(note.origin.to_string()) + "): " + escape_for_display(note.sentence) +
           "\n";
  }
  out += "name = " + toml_string(to_policy_name(policy.name)) + "\n";
  for (const std::string& line : policy.extra_toml) out += line + "\n";
  append_rules(out, "allow", policy.allow);
  append_rules(out, "deny", policy.deny);
  if (!policy.resolvers.empty()) {
    out += "\n[dns]\nresolvers = [";
    for (std::size_t i = 0; i < policy.resolvers.size(); ++i) {
      out += (i == 0 ? "" : ", ") + toml_string(policy.resolvers[i]);
    }
    out += "]\n";
  }
  return out;
}

void refuse_unless_it_loads(ImportedPolicy& policy) {
  const auto loaded = load_policy(to_toml(policy), Format::kToml, policy.source);
  if (loaded.ok()) return;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity != Diagnostic::Severity::kError) continue;
    policy.refused.push_back({"", "the policy that came out is none: " + diagnostic.message, {policy.source, 0, 0}});
    return;
  }
}

std::string to_json(const ImportedPolicy& policy) {
  Json out;
  out["ok"] = policy.ok();
  out["name"] = to_policy_name(policy.name);
  out["source"] = policy.source;
  out["policy"] = policy.ok() ? Json(to_toml(policy)) : Json(nullptr);
  out["allow"] = to_tree(policy.allow);
  out["deny"] = to_tree(policy.deny);
  out["notes"] = to_tree(policy.notes);
  out["refused"] = to_tree(policy.refused);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_text_lines(const std::vector<ImportRemark>& remarks, std::string_view severity) {
  std::string out;
  for (const ImportRemark& remark : remarks) {
    out += escape_for_display(remark.origin.to_string()) + ": " + std::string(severity) + ": " +
           (remark.path.empty() ? "" : escape_for_display(remark.path) + ": ") + escape_for_display(remark.sentence) +
           "\n";
  }
  return out;
}

}  // namespace namewall::agent
