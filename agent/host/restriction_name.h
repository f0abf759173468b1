// How workloads by POST /v1/restrict are called: "restrict:1000-17", by the user and a number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace namewall::agent {

inline constexpr std::string_view kRestrictPrefix = "restrict:";

inline std::string restrict_prefix_of(std::uint32_t uid) {
  return std::string(kRestrictPrefix) + std::to_string(uid) + "-";
}

}  // namespace namewall::agent
