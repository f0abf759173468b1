#include "agent/proxy/turn_queue.h"

namespace namewall::agent {

void TurnQueue::push(std::uint32_t question) {
  const std::uint32_t number = room_[question].account;
  WorkloadAccount& account = ledger_[number];
  room_[question].next = HashIndex::kNone;
  if (account.first_waiting == HashIndex::kNone) {
    account.first_waiting = question;
    append(number);
  } else {
    room_[account.last_waiting].next = question;
  }
  account.last_waiting = question;
  ++account.figures.waiting;
  ++size_;
}

void TurnQueue::pop() {
  const std::uint32_t number = take_account();
  WorkloadAccount& account = ledger_[number];
  account.first_waiting = room_[account.first_waiting].next;
  --account.figures.waiting;
  --size_;
  if (account.first_waiting != HashIndex::kNone) append(number);
}

void TurnQueue::pass() { append(take_account()); }

void TurnQueue::append(std::uint32_t account) {
  ledger_[account].next_in_turn = HashIndex::kNone;
  (empty() ? first_ : ledger_[last_].next_in_turn) = account;
  last_ = account;
  ++accounts_;
}

std::uint32_t TurnQueue::take_account() {
  const std::uint32_t account = first_;
  first_ = ledger_[account].next_in_turn;
  --accounts_;
  return account;
}

}  // namespace namewall::agent
