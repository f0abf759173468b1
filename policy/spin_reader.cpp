#include "policy/spin_reader.h"

#include <set>

#include "policy/escape.h"
#include "policy/spin_rules.h"

namespace namewall {
namespace {

void append_new_rules(const SpinRules& spin, std::vector<Rule>& allow) {
  std::set<std::string> known;
  for (const Rule& rule : allow) known.insert(to_canonical_string(rule.endpoint));
  for (const SpinLine& line : spin.lines) {
    for (const Rule& rule : line.rules) {
      if (known.insert(to_canonical_string(rule.endpoint)).second) allow.push_back(rule);
    }
  }
}

}  // namespace

void SpinReader::read(const ConfigNode& node, Policy& policy, std::vector<Diagnostic>& elsewhere) {
  if (!config_.is_table(node, "spin")) return;
  SpinSource source;
  SpinRequest request;
  source.origin = config_.origin_of(node.position);
  Position manifest_position = node.position;
  const auto read_variables = [&](const ConfigNode& table) {
    if (!config_.is_table(table, "variables")) return;
    for (const ConfigEntry& entry : table.entries) {
      if (const std::string* value = config_.read_string(entry.value, escape_for_display(entry.key)))
        request.variables[entry.key] = *value;
    }
  };
  const auto read_string = [&](const ConfigNode& value, std::string_view key, std::string& text) {
    if (const std::string* string = config_.read_string(value, key)) text = *string;
  };
  const KeyReader keys[] = {
      {"manifest",
       [&](const ConfigNode& value) {
         manifest_position = value.position;
         read_string(value, "manifest", source.manifest);
       }},
      {"component", [&](const ConfigNode& value) { read_string(value, "component", source.component); }},
      {"sockets",
       [&](const ConfigNode& value) {
         constexpr std::string_view kWords[] = {"all", "strict"};
         source.strict_sockets = config_.read_choice(value, "sockets", kWords) == 1;
       }},
      {"variables", read_variables},
  };
  config_.read_table(node, {"`spin`", keys, {}, {}, ""});
  if (!source.manifest.starts_with('/')) {
    config_.error(manifest_position,
                  "`manifest` is " + quoted(source.manifest) + "; accepted: the absolute path of a Spin manifest");
    return;
  }
  if (!context_.read_manifest) {
    config_.error(node.position, "`spin` names a file of the host, and a policy that comes from here may not");
    return;
  }
  const Result<std::string> text = context_.read_manifest(source.manifest);
  if (!text) {
    config_.error(manifest_position, escape_for_display(text.error().message()));
    return;
  }
  request.file = source.manifest;
  request.component = source.component;
  request.strict_sockets = source.strict_sockets;
  Loaded<SpinRules> spin = read_spin_rules(*text, request);
  if (spin.ok()) append_new_rules(spin.value, policy.allow);
  elsewhere.insert(elsewhere.end(), spin.diagnostics.begin(), spin.diagnostics.end());
  policy.spin = std::move(source);
}

}  // namespace namewall
