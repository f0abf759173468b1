#include "policy/policy.h"

namespace namewall {

std::string Origin::to_string() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

}  // namespace namewall
