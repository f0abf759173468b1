// One entry of Spin's list as a native endpoint. docs/spin.md says where the meaning differs from Spin's, and why.
#pragma once

#include <string>
#include <vector>

#include "policy/spin_entry.h"

namespace namewall {

// The native endpoint of one entry; "" where it opens nothing. `remarks`: why, and what to know about it.
struct SpinEndpoint {
  std::string text;
  std::vector<std::string> remarks;
};
// `strict_sockets`: only the schemes `*`, `tcp` and `udp` open anything.
SpinEndpoint convert_spin_entry(const SpinEntry& entry, bool strict_sockets);

}  // namespace namewall
