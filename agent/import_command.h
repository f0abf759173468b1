// What the subcommands of `namewall import` have in common: each reads one file of another system and prints a policy.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/imported_policy.h"

namespace CLI {
class App;
}

namespace namewall::agent {

struct ImportInput {
  std::string text;
  std::string file;  // as messages name it
};

// Reads `path` ("-": standard input), converts it, prints. Exit code: 0; 1 where something cannot be expressed, each
// told on standard error, and then no policy is printed; 125 where the file cannot be read.
// `refusal`: the word for what is in the way.
int run_import(const std::string& path, bool json, const std::function<ImportedPolicy(const ImportInput&)>& convert,
               std::string_view refusal = "cannot be expressed");

struct ObjectImportOptions {
  std::string name;              // only the policy of this metadata.name; "": all of the file
  bool permits_private = false;  // names may have private answers
};

// A subcommand of `import` for files of Kubernetes objects, with these options as its own.
void add_object_import(CLI::App& import, const std::string& name, const std::string& description,
                       ImportedPolicy (*convert)(const ImportInput&, const ObjectImportOptions&), int& exit_code);

void add_import_cilium(CLI::App& import, int& exit_code);
void add_import_kubernetes(CLI::App& import, int& exit_code);
void add_import_spin(CLI::App& import, int& exit_code);

}  // namespace namewall::agent
