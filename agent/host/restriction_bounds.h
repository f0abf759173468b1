// How many restrictions there may be, and how often they may be asked for: whoever asks is any user of the host. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "policy/boot_time.h"
#include "policy/host_settings.h"
#include "policy/result.h"

namespace namewall::agent {

struct RestrictionCount {
  std::uint32_t of_user = 0;
  std::uint32_t of_workload = 0;  // below the same workload of a file or a call
  std::uint32_t all = 0;
  std::uint32_t depth = 0;         // restrictions above
  std::uint32_t cgroup_depth = 0;  // of the cgroup that the process is in; 0: the root
  std::uint32_t rules_of_user = 0, all_rules = 0;
};

// Each level of cgroups that is in use costs every packet of the host a look with nftables; whoever has a cgroup of its
// own can nest as many as it likes in it.
inline constexpr std::uint32_t kMaxRestrictCgroupDepth = 24;
// The kernel's tables of names and addresses are the whole host's.
inline constexpr std::uint32_t kMaxRestrictRulesOfUser = 16'384, kMaxRestrictRules = 65'536;
// Of one restriction: its tables are made for as many.
inline constexpr std::uint32_t kMaxRestrictAddresses = 256;

// kUnsupported: switched off. kLimit: the bound that is reached, in one sentence.
Result<void> check_room(const RestrictSettings& settings, const RestrictionCount& count);
Result<void> check_rules(const RestrictionCount& count, std::size_t rules);

// Calls, whatever becomes of them: a burst, then so many a second, of each user and of all together.
class RestrictionRate {
 public:
  static constexpr std::uint32_t kBurstSeconds = 4;  // a burst: as much as comes in so many seconds
  static constexpr std::uint32_t kUsersAtOnce = 5;   // of all together: what so many users may
  static constexpr std::size_t kMaxUsers = 4096;     // remembered
  static constexpr Nanoseconds kTimeOfCall = std::chrono::milliseconds(5);

  // kLimit.
  Result<void> take(const RestrictSettings& settings, std::uint32_t uid, BootTime now);
  // A call that was taken has kept the daemon busy for so long: as many calls as come in that time. It can be refused
  // for that as long as a burst takes to come, and no longer.
  void charge(const RestrictSettings& settings, std::uint32_t uid, Nanoseconds busy);

 private:
  struct Bucket {
    double tokens = 0;
    BootTime at;
  };
  static bool take(Bucket& bucket, double rate, BootTime now, bool is_new);
  static void charge(Bucket& bucket, double rate, double calls);

  std::map<std::uint32_t, Bucket> users_;
  Bucket all_;
  std::optional<BootTime> forgot_at_;
  bool is_first_ = true;
};

}  // namespace namewall::agent
