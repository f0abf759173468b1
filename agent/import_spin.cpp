#include "agent/import_spin.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/command.h"
#include "agent/matching_rules.h"
#include "agent/policy_sources.h"
#include "policy/diagnostic.h"
#include "policy/escape.h"
#include "policy/policy_image.h"
#include "policy/verdict.h"

namespace namewall::agent {
namespace {

constexpr std::string_view kSelf = "self", kDefaultScheme = "https";

SpinRequest request_of(const ImportInput& input, const SpinImportOptions& options) {
  return {input.file, options.component, options.strict_sockets, options.variables};
}

std::string title_of(const SpinRules& rules) {
  const std::string application = rules.application.empty() ? "" : " of " + quote_for_display(rules.application);
  return "spin component " + quote_for_display(rules.component) + application;
}

void add_line(const SpinLine& line, bool is_strict, ImportedPolicy& policy) {
  for (const Rule& rule : line.rules) policy.allow.push_back({rule.endpoint.text, line.written, line.origin});
  for (const std::string& remark : line.remarks) policy.notes.push_back({line.written, remark, line.origin});
  for (const std::string& oddity : line.oddities) {
    (is_strict ? policy.refused : policy.notes).push_back({line.written, oddity, line.origin});
  }
}

std::string place_of(const Origin& origin) { return " (" + escape_for_display(origin.to_string()) + ")"; }

// The port that stands for none: Spin's, else the one of the URL's scheme.
std::optional<Port> port_of(const SpinUrl& url) {
  if (url.port) return Port{*url.port};
  if (const auto port = spin_default_port(url.scheme)) return Port{*port};
  if (url.scheme == "ws") return Port{80};
  if (url.scheme == "wss") return Port{443};
  return std::nullopt;
}

Result<ExplainTarget> native_target(const SpinUrl& url) {
  const std::optional<Port> port = port_of(url);
  if (!port || port->number == 0) return fail(ErrorKind::kInvalid, "the target has no port: write one");
  const Protocol protocol = url.scheme == "udp" ? Protocol::kUdp : Protocol::kTcp;
  if (const auto* address = std::get_if<SpinAddress>(&*url.host))
    return ExplainTarget{address->address, protocol, *port};
  auto name = DomainName::parse(std::get<std::string>(*url.host));
  if (!name) return fail(ErrorKind::kInvalid, "the target's host is no name that DNS knows: " + name.error().what);
  return ExplainTarget{*std::move(name), protocol, *port};
}

bool is_allowed(const PolicyImage& image, const ExplainTarget& target) {
  if (const auto* name = std::get_if<DomainName>(&target.host)) {
    return (decide_name(image, *name).allow & image.mask_of(target.protocol, target.port)) != 0;
  }
  return judge(image, GrantTable(image.max_addresses), {target.protocol, std::get<Address>(target.host), target.port},
               BootTime{})
      .allowed;
}

Result<SpinTargetVerdict> judge_natively(const SpinRules& rules, const ExplainTarget& target) {
  Policy policy;
  for (const SpinLine& line : rules.lines)
    policy.allow.insert(policy.allow.end(), line.rules.begin(), line.rules.end());
  const Result<PolicyImage> image = compile_policy(policy, {}, {});
  if (!image) return tl::unexpected(image.error());
  const bool is_name = std::holds_alternative<DomainName>(target.host);
  SpinTargetVerdict verdict{is_allowed(*image, target), "no rule opens " + target.to_string()};
  if (!verdict.allowed) return verdict;
  for (const Rule* rule : rules_covering(policy.allow, target)) {
    if (!has_port(*rule, target)) continue;
    verdict.why = describe(*rule) + (is_name ? ", once the workload has looked the name up" : "");
    break;
  }
  return verdict;
}

struct Arguments {
  std::string file, component, sockets, target;
  std::vector<std::string> variables;
  bool is_strict = false, json = false;
};

int fail_with(const std::string& sentence) {
  std::cerr << "namewall: " << sentence << "\n";
  return kExitOwnFailure;
}

int answer_target(const Arguments& arguments, const SpinImportOptions& options) {
  const Result<std::string> text = read_input(arguments.file);
  if (!text) return fail_with(text.error().message());
  const auto answer = judge_spin_target({*text, display_name(arguments.file)}, options, arguments.target);
  if (!answer) {
    std::cerr << answer.error().message() << "\n";
    return kExitInputErrors;
  }
  const auto word = [](bool allowed) { return allowed ? "allowed" : "denied"; };
  if (arguments.json) {
    const auto tree = [](const SpinTargetVerdict& verdict) {
      return nlohmann::ordered_json{{"allowed", verdict.allowed}, {"why", verdict.why}};
    };
    const nlohmann::ordered_json out = {
        {"target", arguments.target}, {"spin", tree(answer->spin)}, {"native", tree(answer->native)}};
    std::cout << out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  } else {
    std::cout << "Spin:   " << word(answer->spin.allowed) << ": " << answer->spin.why
              << "\nnative: " << word(answer->native.allowed) << ": " << answer->native.why << "\n";
  }
  return kExitOk;
}

int run(const Arguments& arguments) {
  SpinImportOptions options{arguments.component, arguments.sockets == "strict", arguments.is_strict, {}};
  for (const std::string& variable : arguments.variables) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail_with("--var " + quote_for_display(variable) + ": accepted: NAME=VALUE");
    }
    options.variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  if (!arguments.target.empty()) return answer_target(arguments, options);
  return run_import(
      arguments.file, arguments.json, [&](const ImportInput& input) { return import_spin(input, options); }, "error");
}

}  // namespace

ImportedPolicy import_spin(const ImportInput& input, const SpinImportOptions& options) {
  ImportedPolicy policy;
  const Loaded<SpinRules> rules = read_spin_rules(input.text, request_of(input, options));
  policy.name = rules.value.application + (rules.value.application.empty() ? "" : "-") + rules.value.component;
  policy.source = title_of(rules.value) + ", " + input.file;
  for (const Diagnostic& diagnostic : rules.diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError) {
      policy.refused.push_back({"", diagnostic.message, diagnostic.origin});
    }
  }
  for (const SpinLine& line : rules.value.lines) add_line(line, options.strict, policy);
  if (rules.ok() && policy.allow.empty()) {
    policy.notes.push_back(
        {"", "no entry opens anything in the kernel: this policy refuses everything", {input.file, 1, 1}});
  }
  return policy;
}

Result<SpinTargetAnswer> judge_spin_target(const ImportInput& input, const SpinImportOptions& options,
                                           const std::string& target) {
  const Loaded<SpinRules> rules = read_spin_rules(input.text, request_of(input, options));
  for (const Diagnostic& diagnostic : rules.diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError) return fail(ErrorKind::kInvalid, diagnostic.to_string());
  }
  const bool is_self = target == kSelf;
  const std::optional<SpinUrl> url = parse_spin_target(target, kDefaultScheme);
  if (!is_self && !url) return fail(ErrorKind::kInvalid, quote_for_display(target) + " is no URL with a host");
  SpinTargetAnswer answer;
  answer.spin.why = "no entry allows it";
  for (const SpinLine& line : rules.value.lines) {
    const auto allows = [&](const SpinEntry& entry) { return is_self ? entry.allows_self() : entry.allows(*url); };
    if (answer.spin.allowed || std::none_of(line.entries.begin(), line.entries.end(), allows)) continue;
    answer.spin = {true, line.written + place_of(line.origin)};
  }
  if (is_self) {
    answer.native.why = "Spin answers such requests itself: nothing of them reaches the kernel";
    return answer;
  }
  auto native = native_target(*url);
  if (!native) {
    answer.native.why = native.error().what;
    return answer;
  }
  auto verdict = judge_natively(rules.value, *native);
  if (!verdict) return tl::unexpected(verdict.error());
  answer.native = *std::move(verdict);
  return answer;
}

void add_import_spin(CLI::App& import, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App& command = *import.add_subcommand("spin", "allowed_outbound_hosts of a component of a Spin manifest");
  command.add_option("file", arguments->file, "The manifest, spin.toml, `-` for standard input")->required();
  command.add_option("--component", arguments->component, "Of a manifest with several components: this one");
  command.add_option("--var", arguments->variables, "NAME=VALUE of a variable, over its default; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--sockets", arguments->sockets, "strict: only `*`, tcp and udp entries open sockets")
      ->check(CLI::IsMember({"all", "strict"}));
  command.add_flag("--strict", arguments->is_strict, "Refuse what Spin lets through dead or surprising");
  command.add_option("--target", arguments->target, "What Spin and the native policy say of this URL");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace namewall::agent
