// Hashes that a later build computes alike: of a policy in force, and of the embedded programs. Against mix-ups, not
// against forgery. Never 0.
#pragma once

#include <cstdint>
#include <string_view>

#include "policy/policy_image.h"

namespace namewall {

std::uint64_t hash_bytes(std::string_view bytes);
// Equal images have equal hashes, in every build of one ABI version.
std::uint64_t hash_of(const PolicyImage& image);

}  // namespace namewall
