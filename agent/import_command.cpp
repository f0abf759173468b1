// `namewall import cilium|k8s|spin FILE`.
#include "agent/import_command.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "agent/command.h"
#include "agent/policy_sources.h"

namespace namewall::agent {

int run_import(const std::string& path, bool json, const std::function<ImportedPolicy(const ImportInput&)>& convert,
               std::string_view refusal) {
  Result<std::string> text = read_input(path);
  if (!text) {
    std::cerr << "namewall: " << text.error().message() << "\n";
    return kExitOwnFailure;
  }
  ImportedPolicy policy = convert({*std::move(text), display_name(path)});
  if (policy.ok()) refuse_unless_it_loads(policy);
  if (json) {
    std::cout << to_json(policy);
  } else {
    std::cerr << to_text_lines(policy.notes, "note") << to_text_lines(policy.refused, refusal);
    if (policy.ok()) std::cout << to_toml(policy);
  }
  return policy.ok() ? kExitOk : kExitInputErrors;
}

void add_import_command(CLI::App& app, int& exit_code) {
  CLI::App& command = *app.add_subcommand("import", "Turn a policy of another system into one of namewall");
  command.require_subcommand(1);
  add_import_cilium(command, exit_code);
  add_import_kubernetes(command, exit_code);
  add_import_spin(command, exit_code);
}

}  // namespace namewall::agent
