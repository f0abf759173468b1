#include "agent/import_kubernetes.h"

#include <CLI/CLI.hpp>
#include <memory>

namespace namewall::agent {

ImportedPolicy import_kubernetes(const ImportInput& input, const KubernetesOptions& options) {
  ImportedPolicy policy;
  policy.name = options.name;
  policy.source = input.file;
  policy.refused.push_back({"", "this build does not read such documents yet", {input.file, 1, 1}});
  return policy;
}

void add_import_kubernetes(CLI::App& import, int& exit_code) {
  struct Options {
    std::string file;
    KubernetesOptions how;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& command =
      *import.add_subcommand("k8s", "The egress of ClusterNetworkPolicy, AdminNetworkPolicy and NetworkPolicy");
  command.add_option("file", options->file, "YAML or JSON, `-` for standard input")->required();
  command.add_option("--name", options->how.name, "Only the policy of this name");
  command.add_flag("--private", options->how.permits_private, "Names may have private addresses (?private)");
  command.add_flag("--json", options->json, "Print JSON");
  command.callback([options, &exit_code] {
    exit_code = run_import(options->file, options->json,
                           [&](const ImportInput& input) { return import_kubernetes(input, options->how); });
  });
}

}  // namespace namewall::agent
