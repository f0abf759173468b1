#include "policy/spin_rules.h"

#include <algorithm>

#include "policy/escape.h"
#include "policy/spin_endpoint.h"
#include "policy/spin_manifest.h"
#include "policy/spin_oddities.h"

namespace namewall {
namespace {

constexpr std::string_view kImplied =
    "every database is open on every port because nothing is said: write `allowed_outbound_hosts`, if an empty list";

std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + quote_for_display(word);
  return text.empty() ? "none" : text;
}

class RuleMaker {
 public:
  RuleMaker(const SpinManifest& manifest, const SpinRequest& request, ConfigReader& config)
      : manifest_(manifest), request_(request), config_(config) {}

  SpinRules make() {
    SpinRules rules;
    rules.application = manifest_.application;
    const SpinComponent* component = find_component();
    if (component == nullptr || !fill_variables()) return rules;
    rules.component = component->id;
    for (const SpinManifestEntry& entry : component->entries) {
      if (auto line = make_line(entry, component->id)) rules.lines.push_back(*std::move(line));
    }
    return rules;
  }

 private:
  const SpinComponent* find_component() {
    const std::string& wanted = request_.component;
    if (wanted.empty() && manifest_.components.size() == 1) return &manifest_.components.front();
    for (const SpinComponent& component : manifest_.components) {
      if (!wanted.empty() && (component.id == wanted || component.id == spin_component_id(wanted))) return &component;
    }
    config_.error({1, 1}, wanted.empty()
                              ? "the manifest has several components, name one; it has " + list_of(components_)
                              : "the manifest has no component " + quote_for_display(wanted) + "; it has " +
                                    list_of(components_));
    return nullptr;
  }

  bool fill_variables() {
    variables_ = manifest_.defaults;
    bool is_known = true;
    for (const auto& [name, value] : request_.variables) {
      if (std::binary_search(manifest_.variables.begin(), manifest_.variables.end(), name)) {
        variables_[name] = value;
      } else {
        config_.error({1, 1}, "the manifest declares no variable " + quote_for_display(name) + "; it declares " +
                                  list_of(manifest_.variables));
        is_known = false;
      }
    }
    return is_known;
  }

  std::optional<SpinLine> make_line(const SpinManifestEntry& entry, const std::string& component) {
    const std::string written = quoted(entry.text);
    const auto read = read_spin_list_entry(entry.text, variables_);
    if (!read) {
      const bool is_variable = read.error().kind == ErrorKind::kNotFound;
      config_.error(entry.position, is_variable ? written + ": the variable " + quote_for_display(read.error().what) +
                                                      " has no default and no value is given"
                                                : written + ": " + read.error().what);
      return std::nullopt;
    }
    SpinLine line;
    line.written = written + (entry.made_from.empty() ? "" : ", from " + entry.made_from);
    line.origin = config_.origin_of(entry.position);
    if (!read->parsed) {
      line.remarks.emplace_back("opens nothing: its variables leave it empty");
      return line;
    }
    if (read->is_template) line.remarks.push_back("with its variables " + quote_for_display(read->text));
    line.entries = spell_out_chaining(*read->parsed, components_);
    line.oddities = find_spin_oddities(read->text, *read->parsed);
    if (entry.is_implied) line.oddities.emplace_back(kImplied);
    for (const std::string& oddity : line.oddities) config_.warning(entry.position, written + ": " + oddity);
    SpinEndpoint native = convert_spin_entry(*read->parsed, request_.strict_sockets);
    line.remarks.insert(line.remarks.end(), native.remarks.begin(), native.remarks.end());
    if (native.text.empty()) return line;
    const auto endpoint = parse_endpoint(native.text, EndpointUse::kAllow);
    if (endpoint) line.rules.push_back({*endpoint, line.origin, "spin component " + quote_for_display(component)});
    return line;
  }

  const SpinManifest& manifest_;
  const SpinRequest& request_;
  ConfigReader& config_;
  std::vector<std::string> components_ = manifest_.component_ids();
  SpinVariables variables_;
};

}  // namespace

Loaded<SpinRules> read_spin_rules(std::string_view manifest, const SpinRequest& request) {
  Loaded<SpinManifest> read = read_spin_manifest(manifest, request.file);
  Loaded<SpinRules> rules{{}, std::move(read.diagnostics)};
  if (!rules.ok()) return rules;
  ConfigReader config(request.file);
  rules.value = RuleMaker(read.value, request, config).make();
  for (Diagnostic& diagnostic : config.take_diagnostics()) rules.diagnostics.push_back(std::move(diagnostic));
  rules.diagnostics = in_file_order(std::move(rules.diagnostics));
  return rules;
}

}  // namespace namewall
