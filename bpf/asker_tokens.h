// The tokens of one layer's workloads: by slot, so that no two live workloads of a process have the same.
#pragma once

#include <cstdint>

#include "policy/proxy_place.h"

namespace namewall::bpf {

inline constexpr std::uint32_t kMostLayers = 16;  // nested workloads on one chain of cgroups

class AskerTokens {
 public:
  AskerTokens(bool use_marks, std::uint32_t layer) : use_marks_(use_marks), layer_(layer) {}

  // 0: marks are not used, or there are no more tokens: whose the questions are is in the map of askers.
  AskerToken of(std::uint32_t slot) const {
    constexpr std::uint32_t kMostSlots = (kFirstNftToken - 1) / kMostLayers;
    return use_marks_ && slot < kMostSlots ? static_cast<AskerToken>(1 + layer_ + kMostLayers * slot) : AskerToken{0};
  }
  static std::uint32_t layer_of(AskerToken token) { return (token - 1u) % kMostLayers; }  // token != 0
  static std::uint32_t slot_of(AskerToken token) { return (token - 1u) / kMostLayers; }

 private:
  bool use_marks_;
  std::uint32_t layer_;
};

}  // namespace namewall::bpf
