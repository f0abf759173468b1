#include "agent/proxy/flight_table.h"

#include <algorithm>

namespace namewall::agent {

std::uint32_t FlightTable::find(std::uint64_t hash, std::uint32_t target,
                                std::span<const std::uint8_t> question) const {
  return index_.find(hash, [&](std::uint32_t at) {
    const Flight& flight = flights_[at];
    return flight.hash == hash && flight.target == target && std::ranges::equal(flight.question, question);
  });
}

std::uint32_t FlightTable::begin(std::uint64_t hash, std::uint32_t target, std::span<const std::uint8_t> question,
                                 std::uint32_t account) {
  const std::uint32_t number = flights_.take();
  Flight& flight = flights_[number];
  flight.hash = hash;
  flight.target = target;
  flight.account = account;
  flight.question.assign(question.begin(), question.end());
  flight.first_asker = flight.last_asker = HashIndex::kNone;
  index_.insert(hash, number);
  return number;
}

void FlightTable::join(std::uint32_t number, std::uint32_t asker) {
  Flight& flight = flights_[number];
  room_[asker].next = HashIndex::kNone;
  (flight.first_asker == HashIndex::kNone ? flight.first_asker : room_[flight.last_asker].next) = asker;
  flight.last_asker = asker;
}

void FlightTable::end(std::uint32_t number) {
  index_.erase(flights_[number].hash, number);
  ++flights_[number].generation;
  flights_.give_back(number);
}

}  // namespace namewall::agent
