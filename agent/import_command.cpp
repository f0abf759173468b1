// `namewall import cilium|k8s|spin FILE`.
#include "agent/import_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

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

void add_object_import(CLI::App& import, const std::string& name, const std::string& description,
                       ImportedPolicy (*convert)(const ImportInput&, const ObjectImportOptions&), int& exit_code) {
  struct Options {
    std::string file;
    ObjectImportOptions how;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command = *import.add_subcommand(name, description);
  command.add_option("file", options->file, "YAML or JSON, `-` for standard input")->required();
  command.add_option("--name", options->how.name, "Only the policy of this name");
  command.add_flag("--private", options->how.permits_private, "Names may have private addresses (?private)");
  command.add_flag("--json", options->json, "Print JSON");
  command.callback([options, convert, &exit_code] {
    exit_code = run_import(options->file, options->json,
                           [&](const ImportInput& input) { return convert(input, options->how); });
  });
}

void add_import_command(CLI::App& app, int& exit_code) {
  CLI::App& command = *app.add_subcommand("import", "Turn a policy of another system into one of namewall");
  command.require_subcommand(1);
  add_import_cilium(command, exit_code);
  add_import_kubernetes(command, exit_code);
  add_import_spin(command, exit_code);
}

}  // namespace namewall::agent
