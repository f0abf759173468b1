// Something that the kernel no longer held as it was left.
#pragma once

#include <string>

namespace namewall::bpf {

struct Damage {
  std::string what;  // one sentence: what was found
  bool repaired = false;
};

}  // namespace namewall::bpf
