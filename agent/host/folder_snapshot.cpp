#include "agent/host/folder_snapshot.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "agent/backend_fit.h"
#include "agent/expectations.h"
#include "agent/host/group_change.h"
#include "agent/host/sha256.h"
#include "policy/host_loader.h"
#include "policy/host_rules.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using VersionPtr = std::shared_ptr<const PolicyVersion>;
using HostPtr = std::shared_ptr<const HostVersion>;

// What of host.toml a compiled policy depends on.
std::string text_of(const HostPolicy& host) {
  std::string text;
  if (host.backend != Backend::kBpf) text += "backend " + std::string(word_of(host.backend)) + "\n";
  for (const Rule& rule : host.deny) text += "deny " + to_canonical_string(rule.endpoint) + "\n";
  text += blocks_text(host);
  for (const Rule& rule : host.private_names) text += "private " + to_canonical_string(rule.endpoint) + "\n";
  return text + blocks_text(host);
}

bool is_same_host(const HostPolicy& a, const HostPolicy& b) {
  return text_of(a) == text_of(b) && are_same_groups(a.groups, b.groups);
}

bool is_same(const ResolvConf& a, const ResolvConf& b) {
  return a.nameservers == b.nameservers && a.search == b.search && a.ndots == b.ndots;
}

void sort_out(const std::vector<Diagnostic>& diagnostics, std::vector<std::string>& errors,
              std::vector<std::string>& warnings) {
  for (const Diagnostic& diagnostic : diagnostics) {
    (diagnostic.severity == Diagnostic::Severity::kError ? errors : warnings).push_back(diagnostic.to_string());
  }
}

std::string as_warning(Diagnostic diagnostic) {
  diagnostic.severity = Diagnostic::Severity::kWarning;
  return diagnostic.to_string();
}

// A file on its way into the next snapshot.
struct Entry {
  PolicyFileStatus status;      // all but `state` and `in_force`
  VersionPtr before;            // in force until now, compiled anew where host or resolvers changed; null: none
  std::optional<Policy> fresh;  // what the newest bytes say, where that is not in force
  VersionPtr chosen;
  bool is_chosen_fresh = false;

  void complain(const std::string& sentence) { status.errors.push_back(status.file + ": error: " + sentence); }
  void fall_back() { chosen = before, is_chosen_fresh = false; }
};

// `are_groups_new`: a file that is as it was may say something else; one with a Spin manifest always may.
void read_entry(const FileText& file, const LoadContext& context, bool are_groups_new, Entry& entry) {
  PolicyFileStatus& status = entry.status;
  const bool was_whole = status.errors.empty() && entry.before != nullptr;
  status.errors.clear();
  status.is_gone = false;
  if (!file.text) return entry.complain(file.text.error().message());
  const Result<std::string> sha256 = sha256_of(*file.text);
  if (!sha256) return entry.complain(sha256.error().message());
  const bool is_as_it_was = was_whole && status.text_sha256 == *sha256;
  const bool has_manifest = is_as_it_was && entry.before->policy.spin.has_value();
  if (is_as_it_was && !are_groups_new && !has_manifest) return;
  status.text_sha256 = *sha256;
  status.warnings.clear();
  Loaded<Policy> loaded = load_policy(*file.text, format_of(file.name, *file.text), file.name, {}, context);
  sort_out(loaded.diagnostics, status.errors, status.warnings);
  if (!loaded.ok() || (is_as_it_was && to_canonical_toml(loaded.value) == entry.before->canonical_text)) return;
  entry.fresh = std::move(loaded.value);
}

void mark_gone(Entry& entry) {
  entry.status.is_gone = true;
  entry.status.errors.clear();
  entry.complain("the file is gone; its workloads stay held, and `namewall teardown` lifts that");
}

// Sorted by file. Without the folder's list nothing is known to be gone.
std::vector<Entry> read_entries(const FolderContents& contents, const FolderSnapshot& previous,
                                const LoadContext& context, bool are_groups_new) {
  std::map<std::string, Entry> entries;
  for (const PolicyFileStatus& status : previous.files) {
    Entry& entry = entries[status.file];
    entry.status = status;
    entry.before = status.in_force;
  }
  std::map<std::string, const FileText*> files;
  for (const FileText& file : contents.files) files[file.name] = &file;
  for (const auto& [name, file] : files) {
    Entry& entry = entries[name];
    entry.status.file = name;
    read_entry(*file, context, are_groups_new, entry);
  }
  std::vector<Entry> sorted;
  for (auto& [name, entry] : entries) {
    const bool is_gone = !files.contains(name) && contents.errors.empty();
    if (is_gone && !entry.before) continue;
    if (is_gone) mark_gone(entry);
    sorted.push_back(std::move(entry));
  }
  return sorted;
}

// `in_force` is the version to use; null: none ever was.
HostFileStatus read_host(const std::optional<FileText>& host, const HostFileStatus& previous, BootTime now,
                         const LoadContext& shipped) {
  HostFileStatus status = previous;
  status.errors.clear();
  status.warnings.clear();
  const auto complain = [&](const std::string& sentence) { status.errors.push_back("host.toml: error: " + sentence); };
  const auto take = [&](HostVersion version) {
    status.in_force = std::make_shared<const HostVersion>(std::move(version));
    status.since = now;
  };
  if (!host) {
    const bool was_file = previous.in_force && !previous.in_force->text_sha256.empty();
    if (was_file)
      complain("the file is gone; what it said stays in force until another one, if an empty one, is there");
    if (!previous.in_force) take({});
    return status;
  }
  if (!host->text) return complain(host->text.error().message()), status;
  Result<std::string> sha256 = sha256_of(*host->text);
  if (!sha256) return complain(sha256.error().message()), status;
  Loaded<HostFile> loaded = load_host_file(*host->text, format_of(host->name, *host->text), host->name, shipped);
  sort_out(loaded.diagnostics, status.errors, status.warnings);
  // What it takes from shipped groups may be other than it was.
  const bool is_known = previous.in_force && previous.in_force->text_sha256 == *sha256 &&
                        is_same_host(previous.in_force->file.policy, loaded.value.policy);
  if (loaded.ok() && !is_known) take({std::move(loaded.value), *host->text, *std::move(sha256)});
  return status;
}

// Compiles what the files say. `is_host_new`: policies in force have to be compiled anew; one that cannot be is the
// host's fault, and returned.
std::optional<Error> compile_entries(std::vector<Entry>& entries, const HostPolicy& host, const ResolvConf& system,
                                     bool is_host_new, bool is_system_new, std::optional<bool> kernel_can_learn) {
  for (Entry& entry : entries) {
    if (entry.before && (is_host_new || is_system_new)) {
      Result<VersionPtr> again =
          compile_version(entry.status.file, entry.before->policy, host, system, kernel_can_learn);
      if (!again && is_host_new) return again.error();
      if (again) {
        entry.before = *std::move(again);
        for (const Diagnostic& failure : failed_expectations(entry.before->policy, host, *entry.before->image)) {
          entry.status.warnings.push_back(as_warning(failure));
        }
      } else {
        entry.complain(again.error().message());
      }
    }
    entry.fall_back();
    if (!entry.fresh) continue;
    Result<VersionPtr> version = compile_version(entry.status.file, *entry.fresh, host, system, kernel_can_learn);
    if (version) {
      const std::vector<Diagnostic> failures = failed_expectations(*entry.fresh, host, *(*version)->image);
      sort_out(failures, entry.status.errors, entry.status.warnings);
      if (!failures.empty()) continue;
      entry.chosen = *std::move(version);
      entry.is_chosen_fresh = true;
    } else {
      const Diagnostic diagnostic{Diagnostic::Severity::kError, entry.fresh->origin, version.error().message()};
      entry.status.errors.push_back(diagnostic.to_string());
    }
  }
  return std::nullopt;
}

// A name that no file has may be that of a workload by call, or a slip.
void warn_of_unknown_exemptions(const std::vector<Entry>& entries, HostFileStatus& host) {
  if (!host.in_force) return;
  for (const ExemptName& exempt : exempt_names(host.in_force->file.policy)) {
    const bool is_known = std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.chosen && entry.chosen->policy.name == exempt.name;
    });
    if (is_known) continue;
    const Diagnostic warning{Diagnostic::Severity::kWarning, exempt.origin,
                             "`" + exempt.name + "` is exempt from a limit, and no policy of the folder is called so"};
    host.warnings.push_back(warning.to_string());
  }
}

// Whether a file that is there has a policy of the name that this one, which is gone, had.
bool is_superseded(const Entry& gone, const std::vector<Entry>& entries) {
  return gone.status.is_gone && std::any_of(entries.begin(), entries.end(), [&](const Entry& other) {
           return !other.status.is_gone && other.chosen && other.chosen->planned.name == gone.chosen->planned.name;
         });
}

// Until no two of the chosen versions clash. Ends: each round takes at least one fresh version back, and those that
// were in force before do not clash.
void resolve_clashes(std::vector<Entry>& entries) {
  for (bool is_settled = false; !is_settled;) {
    is_settled = true;
    std::vector<PlannedPolicy> planned;
    std::map<std::string, Entry*> by_file;
    for (Entry& entry : entries) {
      if (!entry.chosen || is_superseded(entry, entries)) continue;
      planned.push_back(entry.chosen->planned);
      by_file[entry.status.file] = &entry;
    }
    for (const PlanError& error : check_policies(planned)) {
      for (const std::string& file : {error.file, error.other_file}) {
        Entry& entry = *by_file[file];
        if (!entry.is_chosen_fresh) continue;
        entry.complain(error.sentence);
        entry.fall_back();
        is_settled = false;
      }
    }
  }
  std::vector<bool> superseded;
  for (const Entry& entry : entries) superseded.push_back(is_superseded(entry, entries));
  std::size_t at = 0;
  std::erase_if(entries, [&](const Entry&) { return superseded[at++]; });
}

// What new versions of groups open in files that had a policy before.
void tell_of_groups(std::vector<Entry>& entries, const std::vector<Group>& older, FolderSnapshot& next) {
  const std::vector<GroupChange> changes = changes_of_groups(older, next.groups);
  if (changes.empty()) return;
  std::set<std::string> told;
  for (Entry& entry : entries) {
    if (!entry.before || !entry.is_chosen_fresh) continue;
    for (const GroupChange& change : changes) {
      const std::vector<std::string> sentences = sentences_of(change, entry.chosen->policy);
      for (const std::string& sentence : sentences) {
        entry.status.warnings.push_back(entry.status.file + ": warning: " + sentence);
        told.insert(sentence);
      }
    }
  }
  next.group_changes.assign(told.begin(), told.end());
}

PolicyFileStatus settled(Entry entry, BootTime now) {
  PolicyFileStatus status = std::move(entry.status);
  status.in_force = std::move(entry.chosen);
  if (entry.is_chosen_fresh) status.since = now;
  const bool is_whole = status.errors.empty();
  status.state = !status.in_force ? FileState::kBroken : is_whole ? FileState::kInForce : FileState::kKept;
  return status;
}

}  // namespace

std::string_view word_of(FileState state) {
  switch (state) {
    case FileState::kInForce:
      return "in force";
    case FileState::kKept:
      return "kept";
    case FileState::kBroken:
      return "broken";
  }
  return "broken";
}

Result<VersionPtr> compile_version(const std::string& file, const Policy& policy, const HostPolicy& host,
                                   const ResolvConf& system, std::optional<bool> kernel_can_learn) {
  Result<PolicyImage> image = compile_policy(policy, host, system);
  if (!image) return tl::unexpected(image.error());
  if (auto chosen = fit_to_backend(*image, kernel_can_learn); !chosen) return tl::unexpected(chosen.error());
  PolicyVersion version;
  version.policy = policy;
  version.image = std::make_shared<const PolicyImage>(*std::move(image));
  version.canonical_text = to_canonical_toml(policy);
  Result<std::string> sha256 = sha256_of(version.canonical_text + "\n" + text_of(host));
  if (!sha256) return tl::unexpected(sha256.error());
  Result<std::string> text_sha256 = sha256_of(version.canonical_text);
  if (!text_sha256) return tl::unexpected(text_sha256.error());
  version.text_sha256 = *std::move(text_sha256);
  version.planned = {policy.name, file, *std::move(sha256), {}, policy.unarmed_children, false};
  version.planned.arms_children = version.image->backend == Backend::kNft;
  for (const std::string& text : policy.cgroups) {
    Result<CgroupPattern> pattern = CgroupPattern::parse(text);
    if (!pattern) return tl::unexpected(pattern.error());
    version.planned.cgroups.push_back(*std::move(pattern));
  }
  return std::make_shared<const PolicyVersion>(std::move(version));
}

FolderSnapshot next_snapshot(const FolderContents& contents, const FolderSnapshot& previous, const ResolvConf& system,
                             BootTime now, std::optional<bool> kernel_can_learn, const LoadContext& shipped) {
  FolderSnapshot next;
  next.errors = contents.errors;
  next.system = system;
  next.host = read_host(contents.host, previous.host, now, shipped);
  if (next.host.in_force) next.groups = next.host.in_force->file.policy.groups;
  next.groups.insert(next.groups.end(), shipped.groups.begin(), shipped.groups.end());
  LoadContext context = shipped;
  context.groups = next.groups;
  std::vector<Entry> entries =
      read_entries(contents, previous, context, !are_same_groups(previous.groups, next.groups));

  const HostPtr old_host = previous.host.in_force;
  const bool is_system_new = !is_same(system, previous.system);
  if (!next.host.in_force) {
    for (Entry& entry : entries) {
      entry.complain("host.toml has mistakes and was never in force; no policy comes into force before it is repaired");
      entry.fall_back();
    }
  } else {
    const HostPolicy& host = next.host.in_force->file.policy;
    const bool is_host_new = !old_host || text_of(old_host->file.policy) != text_of(host);
    std::vector<Entry> attempt = entries;
    if (const auto error = compile_entries(attempt, host, system, is_host_new, is_system_new, kernel_can_learn)) {
      next.host.errors.push_back("host.toml: error: with it a policy that is in force is beyond a bound: " +
                                 error->message());
      if (old_host) next.host.in_force = old_host, next.host.since = previous.host.since;
      attempt = entries;
      (void)compile_entries(attempt, next.host.in_force->file.policy, system, false, is_system_new, kernel_can_learn);
    }
    entries = std::move(attempt);
  }
  next.host.state = !next.host.in_force        ? FileState::kBroken
                    : next.host.errors.empty() ? FileState::kInForce
                                               : FileState::kKept;
  resolve_clashes(entries);
  tell_of_groups(entries, previous.groups, next);
  warn_of_unknown_exemptions(entries, next.host);
  for (Entry& entry : entries) next.files.push_back(settled(std::move(entry), now));
  return next;
}

bool FolderSnapshot::ok() const { return all_errors().empty(); }

std::vector<std::string> FolderSnapshot::all_errors() const {
  std::vector<std::string> all = errors;
  all.insert(all.end(), host.errors.begin(), host.errors.end());
  for (const PolicyFileStatus& file : files) all.insert(all.end(), file.errors.begin(), file.errors.end());
  return all;
}

std::vector<PlannedPolicy> FolderSnapshot::planned() const {
  std::vector<PlannedPolicy> policies;
  for (const PolicyFileStatus& file : files) {
    if (file.in_force) policies.push_back(file.in_force->planned);
  }
  return policies;
}

VersionPtr FolderSnapshot::find(std::string_view policy_name) const {
  for (const PolicyFileStatus& file : files) {
    if (file.in_force && file.in_force->planned.name == policy_name) return file.in_force;
  }
  return nullptr;
}

bool forget_gone_file(FolderSnapshot& snapshot, std::string_view policy_name) {
  return std::erase_if(snapshot.files, [&](const PolicyFileStatus& file) {
           return file.is_gone && file.in_force && file.in_force->planned.name == policy_name;
         }) != 0;
}

}  // namespace namewall::agent
