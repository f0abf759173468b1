// `namewall check [FILE...] [--host FILE] [--expand] [--strict] [--json]`: exit 0, 1 where a file has errors, 125 where
// one cannot be read. `namewall check --diff OLD NEW`: check_diff.h.
// Diagnostics go to standard error, canonical forms to standard output.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "agent/check_diff.h"
#include "agent/command.h"
#include "agent/host/cgroup_scan.h"
#include "agent/policy_check.h"
#include "agent/policy_context.h"
#include "agent/policy_sources.h"
#include "agent/public_suffix.h"

namespace namewall::agent {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string host;
  std::vector<std::string> diff;  // none, or two
  bool expand = false;
  bool strict = false;
  bool json = false;
};

int fail_with(const Error& error) {
  std::cerr << "namewall: " << error.message() << "\n";
  return kExitOwnFailure;
}

void print(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) std::cerr << diagnostic.to_string() << "\n";
}

// What a guard could hit, if a policy asks for one; nullopt where this host does not show its cgroups.
std::optional<std::vector<ExistingCgroup>> list_guarded_cgroups(const std::vector<PolicyCheck>& checks) {
  const auto has_guard = [](const PolicyCheck& check) {
    return check.ok() && check.policy->unarmed_children == UnarmedChildren::kRefuse;
  };
  if (std::none_of(checks.begin(), checks.end(), has_guard)) return std::nullopt;
  const Result<std::string> root = find_cgroup_root();
  if (!root) return std::nullopt;
  Result<std::vector<ExistingCgroup>> existing = scan_cgroups(*root, "/");
  if (!existing) return std::nullopt;
  return *std::move(existing);
}

int run_check(const Options& options) {
  if (options.files.empty() && options.host.empty() && options.diff.empty()) {
    return fail_with({ErrorKind::kInvalid, 0, "check what? name policy files, or --host FILE"});
  }
  if (!options.files.empty() && !options.diff.empty()) {
    return fail_with({ErrorKind::kInvalid, 0, "--diff compares two files and checks no others"});
  }
  auto host = load_host_policy_file(options.host);
  if (!host) return fail_with(host.error());
  const Result<ResolvConf> system = read_system_resolv_conf();
  if (!system) return fail_with(system.error());
  const PolicyContext context = PolicyContext::read(host->value);
  for (const std::string& error : context.errors()) std::cerr << error << "\n";
  if (!options.diff.empty()) {
    print(host->diagnostics);
    if (!host->ok()) return kExitInputErrors;
    return run_check_diff({options.diff[0], options.diff[1]}, host->value, *system, context.get(), options.json);
  }
  std::vector<PolicyCheck> checks;
  std::map<std::string, Origin> origins_of_names;
  for (const std::string& file : options.files) {
    auto loaded = load_policy_file(file, context.get());
    if (!loaded) return fail_with(loaded.error());
    checks.push_back(check_policy(display_name(file), *std::move(loaded), host->value, *system, origins_of_names));
  }
  check_cgroups_together(checks, list_guarded_cgroups(checks));
  check_overlaps(checks, host->value, read_public_suffixes());
  if (options.strict) {
    make_strict(checks);
    for (Diagnostic& diagnostic : host->diagnostics) diagnostic.severity = Diagnostic::Severity::kError;
  }
  if (options.expand) {
    for (PolicyCheck& check : checks) {
      if (check.ok()) check.expanded = expand_rules(*check.policy, context.get().groups);
    }
  }

  bool ok = host->ok();
  for (const PolicyCheck& check : checks) ok = ok && check.ok();
  if (options.json) {
    std::cout << to_json(checks, host->diagnostics);
  } else {
    print(host->diagnostics);
    for (const PolicyCheck& check : checks) print(check.diagnostics);
    for (std::size_t i = 0; i < checks.size(); ++i)
      std::cout << (i == 0 ? "" : "\n") << to_text(checks[i], options.expand);
  }
  return ok ? kExitOk : kExitInputErrors;
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("check", "Check policy files and print their canonical form");
  command->add_option("files", options->files, "Policy files (TOML or JSON), `-` for standard input");
  command->add_option("--host", options->host, "The host policy, instead of " + std::string(kHostPolicyPath));
  command->add_option("--diff", options->diff, "Compare two policies, or two groups: what opens, what closes")
      ->expected(2)
      ->type_name("OLD NEW");
  command->add_flag("--expand", options->expand, "Print the rules that groups and manifests brought");
  command->add_flag("--strict", options->strict, "Take warnings for errors");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &exit_code] { exit_code = run_check(*options); });
}

}  // namespace namewall::agent
