// Which granted addresses a case goes to: 16 hot ones, or 4,096 random ones that no cache holds at once.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace namewall::bench {

class Destinations {
 public:
  // 16 addresses spread over the first 96.
  static Destinations hot(std::uint16_t port);
  // 4,096 different ones of the first `grants` in random order (all of them where there are fewer), the same in every
  // process.
  static Destinations cold(std::uint32_t grants, std::uint16_t port);

  const sockaddr_in& next() {
    const sockaddr_in& address = addresses_[position_];
    position_ = position_ + 1 == addresses_.size() ? 0 : position_ + 1;
    return address;
  }

 private:
  Destinations(const std::vector<std::uint32_t>& indexes, std::uint16_t port);
  std::vector<sockaddr_in> addresses_;
  std::size_t position_ = 0;
};

}  // namespace namewall::bench
