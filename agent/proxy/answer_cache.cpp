#include "agent/proxy/answer_cache.h"

#include <algorithm>

namespace namewall::agent {

std::uint32_t AnswerCache::find_entry(std::uint64_t hash, std::uint64_t target,
                                      std::span<const std::uint8_t> question) const {
  return index_.find(hash, [&](std::uint32_t at) {
    const Entry& entry = entries_[at];
    return entry.hash == hash && entry.target == target && std::ranges::equal(entry.question(), question);
  });
}

std::optional<AnswerCache::Hit> AnswerCache::find(std::uint64_t hash, std::uint64_t target,
                                                  std::span<const std::uint8_t> question, BootTime now) {
  const std::uint32_t number = find_entry(hash, target, question);
  if (number == HashIndex::kNone) return std::nullopt;
  const Entry& entry = entries_[number];
  if (entry.ends <= now) {
    drop(number);
    return std::nullopt;
  }
  if (number != newest_) {
    unlink(number);
    link(number);
  }
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - entry.stored).count();
  return Hit{entry.answer(), static_cast<std::uint32_t>(age)};
}

void AnswerCache::put(std::uint64_t hash, std::uint64_t target, std::span<const std::uint8_t> question,
                      std::span<const std::uint8_t> answer, std::uint32_t seconds, BootTime now) {
  const std::uint32_t older = find_entry(hash, target, question);
  if (older != HashIndex::kNone) drop(older);
  if (seconds == 0 || sizeof(Entry) + question.size() + answer.size() > max_bytes_ / 16) return;

  const std::uint32_t number = entries_.take();
  Entry& entry = entries_[number];
  entry.hash = hash;
  entry.target = target;
  entry.stored = now;
  entry.ends = now + std::chrono::seconds(seconds);
  entry.text = std::make_unique_for_overwrite<std::uint8_t[]>(question.size() + answer.size());
  entry.question_length = static_cast<std::uint32_t>(question.size());
  entry.answer_length = static_cast<std::uint32_t>(answer.size());
  std::ranges::copy(answer, std::ranges::copy(question, entry.text.get()).out);
  index_.insert(hash, number);
  link(number);
  bytes_ += entry.bytes();
  while (bytes_ > max_bytes_) drop(oldest_);
}

void AnswerCache::sweep(BootTime now) {
  constexpr std::uint32_t kAtOnce = 4096;
  const std::uint32_t end = std::min(entries_.end(), next_swept_ + kAtOnce);
  for (; next_swept_ < end; ++next_swept_) {
    if (entries_[next_swept_].target != 0 && entries_[next_swept_].ends <= now) drop(next_swept_);
  }
  if (next_swept_ == entries_.end()) next_swept_ = 0;
}

void AnswerCache::link(std::uint32_t number) {
  Entry& entry = entries_[number];
  entry.newer = HashIndex::kNone;
  entry.older = newest_;
  (newest_ == HashIndex::kNone ? oldest_ : entries_[newest_].newer) = number;
  newest_ = number;
}

void AnswerCache::unlink(std::uint32_t number) {
  const Entry& entry = entries_[number];
  (entry.newer == HashIndex::kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == HashIndex::kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void AnswerCache::drop(std::uint32_t number) {
  unlink(number);
  Entry& entry = entries_[number];
  index_.erase(entry.hash, number);
  bytes_ -= entry.bytes();
  entry = {};
  entries_.give_back(number);
}

}  // namespace namewall::agent
