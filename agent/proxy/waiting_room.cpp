#include "agent/proxy/waiting_room.h"

namespace namewall::agent {

std::uint32_t WaitingRoom::keep(const ClientQuestion& question, std::uint32_t target, std::uint32_t account) {
  const std::uint32_t number = questions_.take();
  WaitingQuestion& kept = questions_[number];
  kept.client = question.client;
  kept.asker = question.asker;
  kept.target = target;
  kept.account = account;
  kept.over_tcp = question.over_tcp;
  kept.is_kept = true;
  kept.is_abandoned = false;
  kept.pid = question.pid;
  kept.uid = question.uid;
  kept.message.assign(question.message.begin(), question.message.end());
  kept.next = HashIndex::kNone;

  std::uint32_t& first = list_of(question.client.place);
  kept.previous_of_place = HashIndex::kNone;
  kept.next_of_place = first;
  if (first != HashIndex::kNone) questions_[first].previous_of_place = number;
  first = number;
  return number;
}

void WaitingRoom::release(std::uint32_t number) {
  WaitingQuestion& kept = questions_[number];
  const bool is_first = kept.previous_of_place == HashIndex::kNone;
  (is_first ? list_of(kept.client.place) : questions_[kept.previous_of_place].next_of_place) = kept.next_of_place;
  if (kept.next_of_place != HashIndex::kNone) questions_[kept.next_of_place].previous_of_place = kept.previous_of_place;
  kept.asker.reset();
  kept.is_kept = false;
  questions_.give_back(number);
}

void WaitingRoom::abandon_place(std::uint64_t place) {
  for (std::uint32_t at = list_of(place); at != HashIndex::kNone; at = questions_[at].next_of_place) {
    if (questions_[at].client.place == place) questions_[at].is_abandoned = true;
  }
}

}  // namespace namewall::agent
