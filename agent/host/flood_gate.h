// How many log lines one source may cause: at most `lines` in a window, then one line that counts the rest. Pure: time
// is an argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/boot_time.h"

namespace namewall::agent {

class FloodGate {
 public:
  struct Limits {
    std::uint32_t lines = 20;
    Nanoseconds window = std::chrono::seconds(10);
    std::size_t max_sources = 4096;  // further ones share one window and one count
  };
  // What a source was silenced about in a window that is over.
  struct Summary {
    std::string workload;  // both "": of the sources that share one window
    std::string reason;
    std::uint64_t left_out = 0;
    Nanoseconds window{};
  };

  FloodGate() = default;
  explicit FloodGate(Limits limits) : limits_(limits) {}

  // Whether this line may be written. `weight`: events that it stands for; what is not admitted counts that many.
  bool admit(const std::string& workload, const std::string& reason, BootTime now, std::uint64_t weight = 1);
  // Call it at least once a window: the summaries that are due, and the sources that fell silent are forgotten.
  std::vector<Summary> take_summaries(BootTime now);
  // At the end: all that is held.
  std::vector<Summary> finish(BootTime now);

 private:
  using Source = std::pair<std::string, std::string>;
  struct Window {
    BootTime begin;
    std::uint32_t lines = 0;
    std::uint64_t left_out = 0;
  };

  Limits limits_;
  std::map<Source, Window> windows_;
  std::vector<Summary> due_;
};

// "4,711 more in 10 s"
std::string text_of(const FloodGate::Summary& summary);

}  // namespace namewall::agent
