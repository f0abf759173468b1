// Answers that resolvers gave, for as long as their TTLs say, in bounded memory. What was used longest ago gives way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "agent/proxy/hash_index.h"
#include "agent/proxy/slab.h"
#include "policy/boot_time.h"

namespace namewall::agent {

class AnswerCache {
 public:
  explicit AnswerCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  struct Hit {
    std::span<const std::uint8_t> answer;  // good until the next put() or sweep()
    std::uint32_t age = 0;                 // whole seconds in here
  };
  // `hash` is of the target's serial and the question as the resolver was asked.
  std::optional<Hit> find(std::uint64_t hash, std::uint64_t target, std::span<const std::uint8_t> question,
                          BootTime now);
  // Takes the place of an older answer. Nothing is kept for 0 seconds, nor what would take more than a 16th of all.
  void put(std::uint64_t hash, std::uint64_t target, std::span<const std::uint8_t> question,
           std::span<const std::uint8_t> answer, std::uint32_t seconds, BootTime now);
  void sweep(BootTime now);  // drops what is too old, a part of the cache at a time
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint64_t target = 0;  // 0: free
    BootTime stored, ends;
    std::unique_ptr<std::uint8_t[]> text;  // the question, then the answer
    std::uint32_t question_length = 0, answer_length = 0;
    std::uint32_t newer = HashIndex::kNone, older = HashIndex::kNone;  // by use

    std::span<const std::uint8_t> question() const { return {text.get(), question_length}; }
    std::span<const std::uint8_t> answer() const { return {text.get() + question_length, answer_length}; }
    std::size_t bytes() const { return sizeof(Entry) + question_length + answer_length; }
  };

  std::uint32_t find_entry(std::uint64_t hash, std::uint64_t target, std::span<const std::uint8_t> question) const;
  void link(std::uint32_t number);
  void unlink(std::uint32_t number);
  void drop(std::uint32_t number);

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  HashIndex index_;
  Slab<Entry> entries_;
  std::uint32_t next_swept_ = 0;
  std::uint32_t newest_ = HashIndex::kNone, oldest_ = HashIndex::kNone;
};

}  // namespace namewall::agent
