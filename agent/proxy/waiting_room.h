// The questions that wait for an answer: kept by number, found again by the place of their client.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "agent/proxy/hash_index.h"
#include "agent/proxy/keyed_hash.h"
#include "agent/proxy/proxy_core.h"
#include "agent/proxy/slab.h"

namespace namewall::agent {

struct WaitingQuestion {
  ClientHandle client;
  Asker asker;
  std::uint32_t target = 0;   // of TargetTable
  std::uint32_t account = 0;  // of the innermost level, in WorkloadLedger
  bool over_tcp = false;
  bool is_kept = false;
  // Nobody is to be answered any more; it counts until its turn or its flight ends, so that clients who come and go ask
  // no more than others.
  bool is_abandoned = false;
  std::uint32_t pid = 0, uid = 0;
  std::vector<std::uint8_t> message;      // as the client sent it
  std::uint32_t next = HashIndex::kNone;  // in its workload's turn, or in its flight
  std::uint32_t previous_of_place = HashIndex::kNone, next_of_place = HashIndex::kNone;

  std::size_t bytes() const { return sizeof(WaitingQuestion) + message.size(); }
};

class WaitingRoom {
 public:
  explicit WaitingRoom(KeyedHash hash) : hash_(hash) { of_place_.fill(HashIndex::kNone); }

  std::uint32_t keep(const ClientQuestion& question, std::uint32_t target, std::uint32_t account);
  void release(std::uint32_t number);
  WaitingQuestion& operator[](std::uint32_t number) { return questions_[number]; }
  // Marks the questions of a place as abandoned.
  void abandon_place(std::uint64_t place);

  template <typename Visit>  // visit(WaitingQuestion&); may abandon, not keep or release
  void for_each(Visit&& visit) {
    for (std::uint32_t number = 0; number < questions_.end(); ++number) {
      if (questions_[number].is_kept) visit(questions_[number]);
    }
  }
  std::size_t size() const { return questions_.in_use(); }

 private:
  // Places share lists by hash: giving a place up walks its own questions and few others.
  std::uint32_t& list_of(std::uint64_t place) { return of_place_[hash_(place) % of_place_.size()]; }

  KeyedHash hash_;
  Slab<WaitingQuestion> questions_;
  std::array<std::uint32_t, 1024> of_place_;
};

}  // namespace namewall::agent
