#include "agent/host/restriction_bounds.h"

#include <algorithm>

namespace namewall::agent {
namespace {

tl::unexpected<Error> reached(const std::string& what, std::uint32_t bound) {
  return fail(ErrorKind::kLimit, what + std::to_string(bound) + ", as many as there may be");
}

}  // namespace

Result<void> check_room(const RestrictSettings& settings, const RestrictionCount& count) {
  if (!settings.enabled) {
    return fail(ErrorKind::kUnsupported, "processes may not restrict themselves here: host.toml has `enabled = false`");
  }
  if (count.depth >= settings.depth) return reached("restrictions in one another: ", settings.depth);
  if (count.cgroup_depth >= kMaxRestrictCgroupDepth)
    return reached("cgroups in one another: ", kMaxRestrictCgroupDepth);
  if (count.of_user >= settings.per_user) return reached("restrictions of this user: ", settings.per_user);
  if (count.of_workload >= settings.per_workload) {
    return reached("restrictions below this workload: ", settings.per_workload);
  }
  if (count.all >= settings.total) return reached("restrictions on this host: ", settings.total);
  return {};
}

Result<void> check_rules(const RestrictionCount& count, std::size_t rules) {
  if (count.rules_of_user + rules > kMaxRestrictRulesOfUser) {
    return reached("endpoints of this user's restrictions: ", kMaxRestrictRulesOfUser);
  }
  if (count.all_rules + rules > kMaxRestrictRules) return reached("endpoints of all restrictions: ", kMaxRestrictRules);
  return {};
}

bool RestrictionRate::take(Bucket& bucket, double rate, BootTime now, bool is_new) {
  const double most = rate * kBurstSeconds;
  const double seconds = std::chrono::duration<double>(now - bucket.at).count();
  bucket.tokens = is_new ? most : std::min(most, bucket.tokens + seconds * rate);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

Result<void> RestrictionRate::take(const RestrictSettings& settings, std::uint32_t uid, BootTime now) {
  const double rate = settings.per_second;
  if (!users_.contains(uid) && users_.size() >= kMaxUsers) {
    // Whoever has not asked for so long has all of its share again. All are looked at once a second at most.
    constexpr Nanoseconds kForgotten = std::chrono::seconds(2 * kBurstSeconds);
    if (!forgot_at_ || now - *forgot_at_ >= std::chrono::seconds(1)) {
      forgot_at_ = now;
      std::erase_if(users_, [&](const auto& user) { return now - user.second.at >= kForgotten; });
    }
    if (users_.size() >= kMaxUsers) return fail(ErrorKind::kLimit, "too many users ask at once: ask again");
  }
  const auto [user, is_new] = users_.try_emplace(uid);
  const bool has_own = take(user->second, rate, now, is_new);
  if (!has_own) return fail(ErrorKind::kLimit, "this user asks too often: ask again in a second");
  if (!take(all_, rate * kUsersAtOnce, now, std::exchange(is_first_, false))) {
    return fail(ErrorKind::kLimit, "too many restrictions are asked for: ask again in a second");
  }
  return {};
}

void RestrictionRate::charge(Bucket& bucket, double rate, double calls) {
  bucket.tokens = std::max(-rate * kBurstSeconds, bucket.tokens - calls);
}

void RestrictionRate::charge(const RestrictSettings& settings, std::uint32_t uid, Nanoseconds busy) {
  const double calls = std::chrono::duration<double>(busy) / std::chrono::duration<double>(kTimeOfCall) - 1;
  if (calls <= 0) return;  // it is paid for
  const double rate = settings.per_second;
  if (const auto user = users_.find(uid); user != users_.end()) charge(user->second, rate, calls);
  charge(all_, rate * kUsersAtOnce, calls);
}

}  // namespace namewall::agent
