#include "bpf/rule_store.h"

#include "bpf/map_access.h"
#include "bpf/rule_entries.h"

namespace namewall::bpf {
namespace {

constexpr std::chrono::seconds kLongestProgramRun(1);
constexpr std::size_t kManyRetired = 16;

}  // namespace

Result<InstalledRules> RuleStore::install(const PolicyImage& image) {
  const RuleEntries entries = make_rule_entries(image, next_policy_id_);
  InstalledRules rules{next_policy_id_, entries.names.keys, entries.globs.keys, entries.addresses.keys};
  ++next_policy_id_;
  auto done = update_all(name_rules_fd_, "the name rules", entries.names.keys, entries.names.values);
  if (done) done = update_all(glob_rules_fd_, "the patterns", entries.globs.keys, entries.globs.values);
  if (done) done = update_all(address_rules_fd_, "the address rules", entries.addresses.keys, entries.addresses.values);
  if (done) return rules;
  (void)remove(rules);  // the first error is the one to tell; what stays is unreachable under an unused id
  return tl::unexpected(done.error());
}

Result<void> RuleStore::remove(const InstalledRules& rules) {
  auto done = delete_all(name_rules_fd_, "the name rules", rules.names);
  if (done) done = delete_all(glob_rules_fd_, "the patterns", rules.globs);
  if (done) done = delete_all(address_rules_fd_, "the address rules", rules.addresses);
  return done;
}

void RuleStore::retire(InstalledRules rules) {
  retired_.push_back({std::move(rules), std::chrono::steady_clock::now()});
}

Result<void> RuleStore::remove_retired() {
  const auto now = std::chrono::steady_clock::now();
  while (!retired_.empty() && now - retired_.front().since > kLongestProgramRun) {
    if (auto done = remove(retired_.front().rules); !done) return done;
    retired_.erase(retired_.begin());
  }
  return {};
}

bool RuleStore::has_many_retired() const { return retired_.size() >= kManyRetired; }

void RuleStore::no_program_reads_retired() {
  for (Retired& retired : retired_) retired.since = {};
}

}  // namespace namewall::bpf
