// Who sent which question to the proxy, where no mark says so: the map that egress writes.
#pragma once

#include <cstdint>
#include <optional>

#include "policy/proxy_place.h"
#include "policy/result.h"

namespace namewall::bpf {

class AskerBook {
 public:
  // Draws the key of the hashes where there is none yet.
  static Result<AskerBook> open(int askers_fd, int secret_fd);

  // The cgroup of the workload; what was found is gone afterwards. Entries older than 5 s are none.
  std::optional<std::uint64_t> take(const AskerKey& key) const;

 private:
  AskerBook(int askers_fd, std::uint64_t secret) : askers_fd_(askers_fd), secret_(secret) {}
  int askers_fd_;
  std::uint64_t secret_;
};

}  // namespace namewall::bpf
