// Networks with holes, as the networks that are left.
#pragma once

#include <span>
#include <vector>

#include "policy/address.h"

namespace namewall {

// Every address of `whole` that is in none of `holes`, and no other: prefixes without overlap, in order. At most 128
// for each hole.
std::vector<Prefix> subtract_prefixes(const Prefix& whole, std::span<const Prefix> holes);

bool overlap(const Prefix& a, const Prefix& b);

}  // namespace namewall
