// Random 16-bit ids for DNS questions, from the kernel's generator.
#pragma once

#include <sys/random.h>

#include <array>
#include <cstdint>

namespace namewall::agent {

class RandomIds {
 public:
  std::uint16_t next() {
    if (left_ == 0) refill();
    return pool_[--left_];
  }

 private:
  void refill() {
    // getrandom(2) gives up to 256 bytes whole once the generator is seeded, and waits for that.
    static_assert(sizeof pool_ <= 256);
    while (::getrandom(pool_.data(), sizeof pool_, 0) != static_cast<ssize_t>(sizeof pool_)) {
    }
    left_ = pool_.size();
  }
  std::array<std::uint16_t, 128> pool_{};
  std::size_t left_ = 0;
};

}  // namespace namewall::agent
