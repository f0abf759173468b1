// Whose question is next: the workloads in turn, each one question at a time, its own in their order.
#pragma once

#include <cstdint>
#include <optional>

#include "agent/proxy/waiting_room.h"
#include "agent/proxy/workload_ledger.h"

namespace namewall::agent {

class TurnQueue {
 public:
  TurnQueue(WorkloadLedger& ledger, WaitingRoom& room) : ledger_(ledger), room_(room) {}

  void push(std::uint32_t question);  // behind the other questions of its account
  // The question whose turn it is, of the account in front; it stays where it is.
  std::uint32_t front() const { return ledger_[first_].first_waiting; }
  // Takes that question off; its account goes behind the others.
  void pop();
  // The account in front cannot go on now: it goes behind the others with all that it has.
  void pass();
  bool empty() const { return first_ == HashIndex::kNone; }
  std::size_t accounts() const { return accounts_; }
  std::size_t size() const { return size_; }

 private:
  void append(std::uint32_t account);
  std::uint32_t take_account();

  WorkloadLedger& ledger_;
  WaitingRoom& room_;
  std::uint32_t first_ = HashIndex::kNone, last_ = HashIndex::kNone;  // accounts with waiting questions
  std::size_t accounts_ = 0, size_ = 0;
};

}  // namespace namewall::agent
