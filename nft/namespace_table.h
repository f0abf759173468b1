// The table of one network namespace: sends it changes, and says what of it somebody else changed. What it should hold
// is the caller's to know.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "nft/host_enforcer.h"
#include "nft/listing.h"
#include "nft/log_reader.h"
#include "nft/ruleset.h"
#include "nft/transaction.h"
#include "nft/workload_model.h"

namespace namewall::nft {

class NamespaceTable {
 public:
  NamespaceTable(std::uint64_t cookie, NftSocket socket, NftAbilities abilities, std::string name)
      : cookie_(cookie), socket_(std::move(socket)), abilities_(abilities), name_(std::move(name)) {}

  std::uint64_t cookie() const { return cookie_; }
  const std::string& name() const { return name_; }
  bool is_made() const { return is_made_; }
  bool is_owned() const { return kind_ == TableKind::kOwned; }
  const RulesetPlan& plan() const { return plan_; }
  NftSocket& socket() { return socket_; }

  // kConflict: a living process owns the table. nullopt: there is none.
  Result<std::optional<TableListing>> find();
  // In the place of whatever is there, in one transaction.
  Result<void> make(const RulesetPlan& plan, const std::vector<Element>& elements);
  // The table is there: its rules become those of `plan`, in one transaction; what the sets hold stays. kNotFound: a
  // set is missing. Whether the rules had been others.
  Result<bool> adopt(const RulesetPlan& plan);
  // One transaction. `plan`: where other than before. Puts the lists of `changes` in order.
  Result<void> change(ElementChanges& changes, const RulesetPlan& plan);
  Result<void> remove();

  // Whether somebody's transaction came since, by one question; own ones are counted.
  Result<bool> has_foreign_changes();
  // Sentences about table, chains, sets and rules that are not as they were made. Reads the generation anew.
  struct Inspection {
    bool is_gone = false;  // table, or a set: what it held is lost
    std::vector<std::string> differences;
  };
  Result<Inspection> inspect();

  std::set<std::uint64_t> members;  // cgroup ids; of the own namespace all workloads
  std::unique_ptr<LogReader> log;
  FileDescriptor conntrack;
  std::uint64_t rebuilt = 0;  // so often
  bool needs_rebuild = false;

 private:
  // `is_sure`: it changes something, so that the kernel counts it.
  Result<void> commit(Batch& batch, bool is_sure = true);
  Result<void> note_generation();
  void write(Batch& batch, ElementChanges& changes) const;

  std::uint64_t cookie_;
  NftSocket socket_;
  NftAbilities abilities_;
  TableKind kind_ = abilities_.table;  // of the table that is there
  std::string name_;
  bool is_made_ = false;
  RulesetPlan plan_;
  std::uint32_t generation_ = 0;  // that our last transaction made, unless another came between
};

}  // namespace namewall::nft
