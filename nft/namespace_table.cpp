#include "nft/namespace_table.h"

#include <algorithm>
#include <cerrno>

namespace namewall::nft {
namespace {

// The kernel takes the owner's flag with its process, and leaves the other.
bool is_ownable(const TableListing& table) { return table.is_owned || table.is_persistent; }

ErrorKind kind_of(int error) {
  switch (error) {
    case ENOENT:
      return ErrorKind::kNotFound;
    case EPERM:
      return ErrorKind::kPermission;
    case ENFILE:
    case E2BIG:
      return ErrorKind::kLimit;
    case EEXIST:
    case EBUSY:
      return ErrorKind::kConflict;
    default:
      return ErrorKind::kSystem;
  }
}

}  // namespace

Result<std::optional<TableListing>> NamespaceTable::find() {
  auto listing = read_table(socket_, name_);
  if (!listing) return tl::unexpected(listing.error());
  if (*listing && (*listing)->owner != 0 && (*listing)->owner != socket_.port()) {
    return fail(ErrorKind::kConflict, "another process owns the table inet " + name_);
  }
  return listing;
}

Result<void> NamespaceTable::commit(Batch& batch, bool is_sure) {
  const auto result = socket_.commit(batch);
  if (!result) return tl::unexpected(result.error());
  if (result->is_lost) {
    return fail(ErrorKind::kSystem, "the kernel's answer to a change of table inet " + name_ + " was lost", ENOBUFS);
  }
  if (!result->is_committed()) {
    const MessageError& first = result->errors.front();
    return fail(kind_of(first.error),
                "the kernel refuses a change of table inet " + name_ + " (message " + std::to_string(first.sequence) +
                    " of " + std::to_string(batch.next_sequence() - batch.first_sequence()) + ")",
                first.error);
  }
  if (is_sure) {
    ++generation_;
    return {};
  }
  const auto generation = socket_.generation();
  if (generation && generation->id == generation_ + 1) ++generation_;
  return {};
}

// The order within a transaction does not matter: those of one set share messages.
void NamespaceTable::write(Batch& batch, ElementChanges& changes) const {
  for (std::vector<Element>* list :
       {&changes.remove, &changes.destroy, &changes.add, &changes.renew, &changes.replace}) {
    const auto is_before = [](const Element& a, const Element& b) { return a.set < b.set; };
    if (!std::is_sorted(list->begin(), list->end(), is_before)) std::stable_sort(list->begin(), list->end(), is_before);
  }
  batch.delete_elements(changes.remove, name_);
  if (abilities_.has_destroy) {
    batch.destroy_elements(changes.destroy, name_);
  } else if (!changes.destroy.empty()) {
    // To delete what may be gone: it is added before.
    batch.add_elements(changes.destroy, name_);
    batch.delete_elements(changes.destroy, name_);
  }
  batch.add_elements(changes.add, name_);
  batch.renew_elements(changes.renew, abilities_.update, name_);
  batch.renew_elements(changes.replace, UpdateWay::kReplace, name_);
}

Result<void> NamespaceTable::make(const RulesetPlan& plan, const std::vector<Element>& elements) {
  const auto found = find();
  if (!found) return tl::unexpected(found.error());
  Batch batch;
  if (*found) {
    if (is_ownable(**found)) batch.add_table(TableKind::kOwned, name_);  // becomes its owner
    batch.delete_table(name_);
  }
  add_whole_table(batch, abilities_.table, plan, name_);
  batch.add_elements(elements, name_);
  if (auto done = commit(batch); !done) return done;
  is_made_ = true;
  kind_ = abilities_.table;
  plan_ = plan;
  return note_generation();
}

Result<bool> NamespaceTable::adopt(const RulesetPlan& plan) {
  const auto sets = list_set_names(socket_, name_);
  const auto chains = list_chain_names(socket_, name_);
  if (!sets) return tl::unexpected(sets.error());
  if (!chains) return tl::unexpected(chains.error());
  for (const SetShape& shape : all_sets()) {
    if (std::find(sets->begin(), sets->end(), shape.name) == sets->end())
      return fail(ErrorKind::kNotFound, "the set " + std::string(shape.name) + " of table inet " + name_ + " is gone");
  }
  const auto before = list_rules(socket_, name_);
  if (!before) return tl::unexpected(before.error());
  const auto found = find();
  if (!found) return tl::unexpected(found.error());
  if (!*found) return fail(ErrorKind::kNotFound, "the table inet " + name_ + " is gone");
  Batch batch;
  kind_ = is_ownable(**found) ? TableKind::kOwned : TableKind::kPlain;  // a table stays what it was made as
  batch.add_table(kind_, name_);
  replace_rules(batch, *chains, plan, name_);
  if (auto done = commit(batch); !done) return tl::unexpected(done.error());
  is_made_ = true;
  plan_ = plan;
  if (auto done = note_generation(); !done) return tl::unexpected(done.error());
  return !compare_rules(plan, *before, name_).empty();
}

Result<void> NamespaceTable::change(ElementChanges& changes, const RulesetPlan& plan) {
  Batch batch;
  write(batch, changes);
  const bool is_new_plan = plan != plan_;
  if (is_new_plan) replace_rules(batch, plan_, plan, name_);
  if (batch.empty()) return {};
  const bool is_sure = is_new_plan || !changes.remove.empty() || !changes.add.empty() || !changes.renew.empty() ||
                       !changes.replace.empty();
  if (auto done = commit(batch, is_sure); !done) return done;
  if (!is_new_plan) return {};
  plan_ = plan;
  return note_generation();
}

Result<void> NamespaceTable::remove() {
  const auto found = find();
  if (!found) return tl::unexpected(found.error());
  is_made_ = false;
  if (!*found) return {};
  Batch batch;
  if (is_ownable(**found)) batch.add_table(TableKind::kOwned, name_);
  batch.delete_table(name_);
  return commit(batch);
}

Result<void> NamespaceTable::note_generation() {
  const auto generation = socket_.generation();
  if (!generation) return tl::unexpected(generation.error());
  generation_ = generation->id;
  return {};
}

Result<bool> NamespaceTable::has_foreign_changes() {
  const auto generation = socket_.generation();
  if (!generation) return tl::unexpected(generation.error());
  return generation->id != generation_;
}

Result<NamespaceTable::Inspection> NamespaceTable::inspect() {
  Inspection found;
  const auto generation = socket_.generation();  // before the rest: what comes meanwhile is seen next time
  if (!generation) return tl::unexpected(generation.error());
  const auto listing = read_table(socket_, name_);
  if (!listing) return tl::unexpected(listing.error());
  if (!*listing) {
    found.is_gone = true;
    found.differences.push_back("the table inet " + name_ + " had been deleted");
    return found;
  }
  if ((*listing)->is_dormant) found.differences.push_back("the table inet " + name_ + " had been made dormant");
  const auto sets = list_set_names(socket_, name_);
  if (!sets) return tl::unexpected(sets.error());
  for (const SetShape& shape : all_sets()) {
    if (std::find(sets->begin(), sets->end(), shape.name) != sets->end()) continue;
    found.is_gone = true;
    found.differences.push_back("the set " + std::string(shape.name) + " had been deleted");
  }
  const auto rules = list_rules(socket_, name_);
  if (!rules) return tl::unexpected(rules.error());
  for (std::string& difference : compare_rules(plan_, *rules, name_))
    found.differences.push_back(std::move(difference));
  const auto chains = list_chain_names(socket_, name_);
  if (!chains) return tl::unexpected(chains.error());
  for (const std::string& chain : expected_chains(plan_)) {
    if (std::find(chains->begin(), chains->end(), chain) == chains->end())
      found.differences.push_back("the chain " + chain + " had been deleted");
  }
  generation_ = generation->id;
  return found;
}

}  // namespace namewall::nft
