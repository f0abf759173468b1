// What came of the questions.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace namewall::bench {

class Tally {
 public:
  void asked() { ++asked_; }
  // `message`: an answer to a question that is in flight. NOERROR with an address is a success; its latency counts.
  void answered(std::span<const std::uint8_t> message, std::uint64_t latency_ns);
  // Nothing came, or the system refused the question: `why`, for people.
  void failed(const std::string& why);
  void stray() { ++strays_; }  // an answer to no question in flight

  std::uint64_t asked_count() const { return asked_; }
  // One JSON object. `elapsed_ns`: from the first question to the last answer. `with_each`: every latency, too, sorted.
  std::string json(std::uint64_t elapsed_ns, bool with_each);

 private:
  std::uint64_t asked_ = 0, strays_ = 0, failures_ = 0;
  std::vector<std::uint64_t> latencies_;
  std::map<std::string, std::uint64_t> reasons_;
};

}  // namespace namewall::bench
