#include "policy/policy_diff.h"

#include <algorithm>

#include "policy/canonical_form.h"
#include "policy/duration.h"

namespace namewall {
namespace {

class Settings {
 public:
  explicit Settings(PolicyDiff& diff) : diff_(diff) {}

  template <typename Value>
  void compare_order(const std::string& subject, const Value& older, const Value& newer, const std::string& from,
                     const std::string& to) {
    if (older < newer) add(AccessChange::Kind::kOpens, subject, from + " -> " + to);
    if (newer < older) add(AccessChange::Kind::kCloses, subject, from + " -> " + to);
  }

  void compare_count(const std::string& subject, std::uint32_t older, std::uint32_t newer) {
    compare_order(subject, older, newer, std::to_string(older), std::to_string(newer));
  }

  void compare_time(const std::string& subject, Nanoseconds older, Nanoseconds newer) {
    compare_order(subject, older, newer, format_duration(older), format_duration(newer));
  }

  void compare_flag(const std::string& subject, bool older, bool newer) {
    compare_order(subject, older, newer, older ? "true" : "false", newer ? "true" : "false");
  }

  void compare_neutral(const std::string& subject, std::string_view older, std::string_view newer) {
    if (older != newer) diff_.changes.push_back(subject + " " + std::string(older) + " -> " + std::string(newer));
  }

  void add(AccessChange::Kind kind, std::string subject, std::string what) {
    auto& list = kind == AccessChange::Kind::kOpens ? diff_.opens : diff_.closes;
    list.push_back({kind, std::move(subject), std::move(what)});
  }

 private:
  PolicyDiff& diff_;
};

// A grant that the TTL ends may outlive the next answer, and one that ends with that answer its TTL: neither is less
// than the other.
void compare_retain(Settings& settings, Retain older, Retain newer) {
  if (older == newer) return;
  const std::string what = std::string(word_of(older)) + " -> " + std::string(word_of(newer));
  if (older != Retain::kWorkload) settings.add(AccessChange::Kind::kOpens, "retain", what);
  if (newer != Retain::kWorkload) settings.add(AccessChange::Kind::kCloses, "retain", what);
}

void compare_images(Settings& settings, const PolicyImage& older, const PolicyImage& newer) {
  settings.compare_order("loopback", older.loopback, newer.loopback, std::string(word_of(older.loopback)),
                         std::string(word_of(newer.loopback)));
  settings.compare_order("mode", older.mode, newer.mode, std::string(word_of(older.mode)),
                         std::string(word_of(newer.mode)));
  settings.compare_flag("may listen", older.may_listen, newer.may_listen);
  compare_retain(settings, older.retain, newer.retain);
  settings.compare_time("min_ttl", older.min_ttl, newer.min_ttl);
  settings.compare_time("max_ttl", older.max_ttl, newer.max_ttl);
  settings.compare_time("grace", older.grace, newer.grace);
  settings.compare_count("max_addresses", older.max_addresses, newer.max_addresses);
  settings.compare_count("in_flight", older.bounds.in_flight, newer.bounds.in_flight);
  settings.compare_count("per_second", older.bounds.per_second, newer.bounds.per_second);
  settings.compare_count("fresh_per_second", older.bounds.fresh_per_second, newer.bounds.fresh_per_second);
  settings.compare_count("connections", older.bounds.connections, newer.bounds.connections);
  settings.compare_time("idle", older.bounds.idle, newer.bounds.idle);
  settings.compare_flag("address hints teach", older.hints == Hints::kTeach, newer.hints == Hints::kTeach);
  settings.compare_neutral("ech", older.ech == Ech::kStrip ? "strip" : "keep",
                           newer.ech == Ech::kStrip ? "strip" : "keep");
  settings.compare_neutral("learn", word_of(older.learn), word_of(newer.learn));
  settings.compare_neutral("refuse_with", word_of(older.refuse_with), word_of(newer.refuse_with));
  settings.compare_neutral("backend", word_of(older.backend), word_of(newer.backend));
  settings.compare_neutral("cache", older.cache ? "true" : "false", newer.cache ? "true" : "false");
}

// A cgroup that no policy names any more is one that nothing holds.
void compare_cgroups(Settings& settings, const Policy& older, const Policy& newer) {
  const auto tell_missing = [&](const std::vector<std::string>& all, const std::vector<std::string>& in,
                                AccessChange::Kind kind, const char* what) {
    for (const std::string& cgroup : all) {
      if (std::find(in.begin(), in.end(), cgroup) == in.end()) settings.add(kind, "cgroup " + cgroup, what);
    }
  };
  tell_missing(older.cgroups, newer.cgroups, AccessChange::Kind::kOpens, "which it does not hold any more");
  tell_missing(newer.cgroups, older.cgroups, AccessChange::Kind::kCloses, "which it did not hold");
  settings.compare_order("unarmed_children", newer.unarmed_children, older.unarmed_children,
                         std::string(word_of(older.unarmed_children)), std::string(word_of(newer.unarmed_children)));
  settings.compare_order("cut_unattributed", newer.cut_unattributed, older.cut_unattributed,
                         older.cut_unattributed ? "true" : "false", newer.cut_unattributed ? "true" : "false");
  tell_missing(older.guard_shared, newer.guard_shared, AccessChange::Kind::kOpens, "whose guard it does not ask for");
  tell_missing(newer.guard_shared, older.guard_shared, AccessChange::Kind::kCloses, "whose guard it did not ask for");
}

}  // namespace

PolicyDiff diff_policies(const Policy& older, const PolicyImage& older_image, const Policy& newer,
                         const PolicyImage& newer_image) {
  PolicyDiff diff;
  for (AccessChange& change : changes_between(older_image, newer_image)) {
    if (change.what.empty()) continue;  // a setting: below, with its direction
    auto& list = change.kind == AccessChange::Kind::kOpens ? diff.opens : diff.closes;
    list.push_back(std::move(change));
  }
  Settings settings(diff);
  compare_images(settings, older_image, newer_image);
  compare_cgroups(settings, older, newer);
  return diff;
}

}  // namespace namewall
