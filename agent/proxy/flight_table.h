// Questions that resolvers are being asked, each once, with everybody who waits for its answer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agent/proxy/hash_index.h"
#include "agent/proxy/slab.h"
#include "agent/proxy/waiting_room.h"

namespace namewall::agent {

struct Flight {
  std::uint64_t hash = 0;
  std::uint32_t target = 0;
  std::uint32_t account = 0;  // whose question began it
  std::uint32_t generation = 0;
  std::vector<std::uint8_t> question;                                           // as the resolver is asked
  std::uint32_t first_asker = HashIndex::kNone, last_asker = HashIndex::kNone;  // of WaitingRoom, by `next`
};

class FlightTable {
 public:
  explicit FlightTable(WaitingRoom& room) : room_(room) {}

  // kNone: nobody asks that now.
  std::uint32_t find(std::uint64_t hash, std::uint32_t target, std::span<const std::uint8_t> question) const;
  std::uint32_t begin(std::uint64_t hash, std::uint32_t target, std::span<const std::uint8_t> question,
                      std::uint32_t account);
  void join(std::uint32_t flight, std::uint32_t asker);
  // It is over; its generation is, too. What it holds may be read until the next begin().
  void end(std::uint32_t flight);
  Flight& operator[](std::uint32_t number) { return flights_[number]; }
  std::size_t size() const { return index_.size(); }

 private:
  WaitingRoom& room_;
  HashIndex index_;
  Slab<Flight> flights_;
};

}  // namespace namewall::agent
