// How many restrictions there may be, and how often they may be asked for: whoever asks is any user of the host. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "policy/boot_time.h"
#include "policy/host_settings.h"
#include "policy/result.h"

namespace namewall::agent {

struct RestrictionCount {
  std::uint32_t of_user = 0;
  std::uint32_t of_workload = 0;  // below the same workload of a file or a call
  std::uint32_t all = 0;
  std::uint32_t depth = 0;  // restrictions above
};

// kUnsupported: switched off. kLimit: the bound that is reached, in one sentence.
Result<void> check_room(const RestrictSettings& settings, const RestrictionCount& count);

// Calls, whatever becomes of them: a burst, then so many a second, of each user and of all together.
class RestrictionRate {
 public:
  static constexpr std::uint32_t kBurstSeconds = 4;  // a burst: as much as comes in so many seconds
  static constexpr std::uint32_t kUsersAtOnce = 5;   // of all together: what so many users may
  static constexpr std::size_t kMaxUsers = 4096;     // remembered

  // kLimit.
  Result<void> take(const RestrictSettings& settings, std::uint32_t uid, BootTime now);

 private:
  struct Bucket {
    double tokens = 0;
    BootTime at;
  };
  static bool take(Bucket& bucket, double rate, BootTime now, bool is_new);

  std::map<std::uint32_t, Bucket> users_;
  Bucket all_;
  bool is_first_ = true;
};

}  // namespace namewall::agent
