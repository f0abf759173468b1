#include "agent/host/folder_findings.h"

#include <algorithm>

#include "agent/host/group_change.h"
#include "policy/overlap.h"

namespace namewall::agent {
namespace {

std::vector<std::string> lines_of(std::vector<Diagnostic> found) {
  std::vector<std::string> lines;
  for (Diagnostic& diagnostic : found) {
    if (lines.size() == kMaxFindings - 1 && found.size() > kMaxFindings) {
      lines.push_back(diagnostic.origin.file + ": warning: " + std::to_string(found.size() - lines.size()) +
                      " more findings are not shown: see `namewall check`");
      return lines;
    }
    diagnostic.severity = Diagnostic::Severity::kWarning;
    lines.push_back(diagnostic.to_string());
  }
  return lines;
}

}  // namespace

void find_conflicts(FolderSnapshot& folder, const FolderSnapshot& older,
                    const std::function<bool(std::string_view)>& is_public_suffix) {
  if (!folder.host.in_force || holds_the_same(folder, older)) return;  // a file's status goes from snapshot to snapshot
  std::vector<const Policy*> policies;
  std::vector<PolicyFileStatus*> files;
  for (PolicyFileStatus& file : folder.files) {
    file.findings.clear();
    if (!file.in_force) continue;
    policies.push_back(&file.in_force->policy);
    files.push_back(&file);
  }
  const std::vector<std::vector<const Policy*>> parents = find_parents(policies);
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const OverlapInput input{*policies[i], folder.host.in_force->file.policy, parents[i],
                             files[i]->in_force->image->resolvers, is_public_suffix};
    files[i]->findings = lines_of(check_overlap(input));
  }
}

std::vector<std::string> collect_warnings(const FolderSnapshot& folder, std::size_t most) {
  std::vector<std::string> all = folder.host.warnings;
  for (const PolicyFileStatus& file : folder.files) {
    all.insert(all.end(), file.warnings.begin(), file.warnings.end());
    all.insert(all.end(), file.findings.begin(), file.findings.end());
  }
  if (all.size() <= most) return all;
  const std::size_t left = all.size() - most + 1;
  all.resize(most - 1);
  all.push_back(std::to_string(left) + " more warnings are not shown: see `namewall check`");
  return all;
}

bool holds_the_same(const FolderSnapshot& a, const FolderSnapshot& b) {
  return a.host.in_force == b.host.in_force && are_same_groups(a.groups, b.groups) &&
         std::equal(a.files.begin(), a.files.end(), b.files.begin(), b.files.end(),
                    [](const auto& x, const auto& y) { return x.file == y.file && x.in_force == y.in_force; });
}

}  // namespace namewall::agent
