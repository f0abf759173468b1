// What in an entry Spin accepts although it lets nothing through, or something else than it looks like.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/spin_entry.h"

namespace namewall {

// A sentence for each. `text` is the entry with its variables put in, of which `entry` was read.
std::vector<std::string> find_spin_oddities(std::string_view text, const SpinEntry& entry);

// Whether something of Spin's dials by this scheme: "*", "http", "tcp", "rediss", ...
bool is_spin_client_scheme(std::string_view scheme);

}  // namespace namewall
