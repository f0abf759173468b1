// Spin's runtime setting `block_networks`, with Spin's meaning of "private": multicast is not in it, nor are the IPv6
// forms of private IPv4 addresses but the mapped and the compatible one. The host policy's own is wider.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/result.h"
#include "policy/spin_address.h"

namespace namewall {

class SpinNetworks {
 public:
  // Each a network with its length, or "private". Error: which one is neither.
  static Result<SpinNetworks> read(std::span<const std::string> words);
  bool blocks(const SpinAddress& address) const;

 private:
  std::vector<SpinNetwork> networks_;
  bool blocks_private_ = false;
};

}  // namespace namewall
