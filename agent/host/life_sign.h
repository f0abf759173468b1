// A file whose time says when a daemon last read events: what the next one tells as the gap.
#pragma once

#include <optional>
#include <string>

#include "policy/boot_time.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class LifeSign {
 public:
  static Result<LifeSign> open(const std::string& path);

  // When the daemon before this one gave it; nullopt: there was none.
  std::optional<Nanoseconds> last_utc() const { return last_; }
  void give() const;

 private:
  LifeSign() = default;
  FileDescriptor fd_;
  std::optional<Nanoseconds> last_;
};

}  // namespace namewall::agent
