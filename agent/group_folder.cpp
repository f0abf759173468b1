#include "agent/group_folder.h"

#include <cstdlib>
#include <utility>

#include "agent/host/policy_folder.h"
#include "policy/group_file.h"
#include "policy/policy_loader.h"

namespace namewall::agent {

GroupFolder read_group_folder(const std::string& directory) {
  GroupFolder folder;
  const FolderContents contents = read_folder(directory, "");
  folder.errors = contents.errors;
  std::vector<GroupText> texts;
  const auto complain = [&](const std::vector<Diagnostic>& diagnostics) {
    for (const Diagnostic& diagnostic : diagnostics) folder.errors.push_back(diagnostic.to_string());
  };
  for (const FileText& file : contents.files) {
    const std::string path = directory + "/" + file.name;
    if (!file.text) {
      folder.errors.push_back(path + ": error: " + file.text.error().message());
      continue;
    }
    Loaded<GroupText> loaded = load_group_file(*file.text, format_of(file.name, *file.text), path);
    complain(loaded.diagnostics);
    if (loaded.ok()) texts.push_back(std::move(loaded.value));
  }
  if (texts.size() > kMaxGroups) {
    folder.errors.push_back(directory + " has more than " + std::to_string(kMaxGroups) +
                            " groups; the rest is left out");
    texts.resize(kMaxGroups);
  }
  std::vector<Diagnostic> diagnostics;
  folder.groups = resolve_groups(texts, {}, diagnostics);
  complain(diagnostics);
  return folder;
}

std::string group_folder_of_command() {
  const char* chosen = std::getenv("NAMEWALL_GROUPS");
  return chosen != nullptr && *chosen != '\0' ? chosen : kGroupFolder;
}

}  // namespace namewall::agent
