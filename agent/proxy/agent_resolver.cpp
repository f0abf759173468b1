#include "agent/proxy/agent_resolver.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "policy/answer_edit.h"
#include "policy/dns_message.h"
#include "policy/dns_verdict.h"

namespace namewall::agent {
namespace {

using std::chrono::seconds;

constexpr std::array<std::uint16_t, 2> kTypes = {kTypeA, kTypeAaaa};
constexpr Nanoseconds kSoonest = seconds(1), kLongestBackoff = seconds(60);
constexpr Nanoseconds kNothingSoonest = seconds(30), kNothingLatest = std::chrono::hours(1);

Nanoseconds min_ttl_of(const Asker& asker) {
  Nanoseconds longest = kSoonest;
  for (const AskerLevel& level : *asker) longest = std::max(longest, level.image->min_ttl);
  return longest;
}

// How long the shortest of the levels' grants from an answer with this TTL live; where none of them ends, how long the
// answer holds.
Nanoseconds life_of(const Asker& asker, Nanoseconds ttl) {
  Nanoseconds shortest = kNever.since_boot;
  for (const AskerLevel& level : *asker) {
    const PolicyImage& image = *level.image;
    const Nanoseconds held = std::max(image.min_ttl, std::min(ttl, image.max_ttl));
    shortest = std::min(shortest, image.retain == Retain::kTtl ? held + image.grace : held);
  }
  return shortest;
}

Nanoseconds backoff(unsigned failures) {
  return failures > 6 ? kLongestBackoff : std::min<Nanoseconds>(seconds(1) * (1 << (failures - 1)), kLongestBackoff);
}

}  // namespace

std::optional<UpstreamTarget> agent_target(const Asker& asker) {
  const PolicyImage& image = *asker->front().image;
  const std::size_t count = image.system_resolvers != 0 ? image.system_resolvers : image.resolvers.size();
  std::vector<ResolverAddress> trusted;
  std::ranges::copy_if(std::span(image.resolvers).first(count), std::back_inserter(trusted),
                       [&](const ResolverAddress& resolver) {
                         return std::ranges::all_of(*asker, [&](const AskerLevel& level) {
                           const auto& resolvers = level.image->resolvers;
                           return std::ranges::find(resolvers, resolver) != resolvers.end();
                         });
                       });
  if (trusted.empty()) return std::nullopt;
  return UpstreamTarget{0, trusted.front(), {trusted.begin() + 1, trusted.end()}};
}

AgentResolver::AgentResolver(Upstream& upstream, GrantSink& sink, Report report, const AgentResolverLimits& limits)
    : upstream_(upstream), teacher_(sink), report_(std::move(report)), limits_(limits), chance_(limits.seed) {}

void AgentResolver::keep_fresh(const std::vector<Asker>& workloads, BootTime now) {
  now_ = now;
  std::map<Key, std::uint32_t> kept;
  for (const Asker& asker : workloads) {
    for (const DomainName& name : asker->front().image->agent_names) {
      const Key key{asker->front().cgroup_id, name.text()};
      const auto [at, is_new] = kept.emplace(key, 0);
      if (!is_new) continue;
      const auto before = numbers_.find(key);
      if (before == numbers_.end()) {
        add(asker, name, at->second);
      } else {
        at->second = before->second;
        entries_[at->second].asker = asker;
        numbers_.erase(before);
      }
    }
  }
  for (const auto& [key, number] : numbers_) remove(number);
  numbers_ = std::move(kept);
}

void AgentResolver::add(const Asker& asker, const DomainName& name, std::uint32_t& number) {
  number = entries_.take();
  Entry& entry = entries_[number];
  const std::uint32_t generation = entry.generation;
  entry = {};
  entry.generation = generation;
  entry.asker = asker;
  entry.name = name;
  for (unsigned family = 0; family < kTypes.size(); ++family) {
    entry.families[family].due = now_;
    due_.emplace(now_, number, family);
  }
}

void AgentResolver::remove(std::uint32_t number) {
  Entry& entry = entries_[number];
  for (unsigned family = 0; family < kTypes.size(); ++family) {
    if (!entry.families[family].is_asked) due_.erase({entry.families[family].due, number, family});
  }
  failing_ -= entry.is_failing;
  ++entry.generation;
  entry.asker.reset();
  entries_.give_back(number);
}

void AgentResolver::run(BootTime now) {
  now_ = now;
  while (asked_ < limits_.lookups && !due_.empty() && std::get<BootTime>(*due_.begin()) <= now) {
    const auto [when, number, family] = *due_.begin();
    due_.erase(due_.begin());
    ask(number, family);
  }
}

std::optional<BootTime> AgentResolver::next_deadline() const {
  if (due_.empty() || asked_ >= limits_.lookups) return std::nullopt;
  return std::get<BootTime>(*due_.begin());
}

void AgentResolver::ask(std::uint32_t number, unsigned family) {
  Entry& entry = entries_[number];
  entry.families[family].is_asked = true;
  ++asked_;
  const std::uint32_t generation = entry.generation;
  const auto done = [this, number, generation, family](const Result<std::span<const std::uint8_t>>& answer) {
    --asked_;
    land(number, generation, family, answer);
  };
  ask_upstream(entry.asker, entry.name, kTypes[family], done);
}

void AgentResolver::ask_upstream(const Asker& asker, const DomainName& name, std::uint16_t type,
                                 const Upstream::Done& done) {
  const DnsQuestion question{.id = 0, .name = name, .type = type};
  for (const AskerLevel& level : *asker) {
    if (!judge_proxied_question(*level.image, question).verdict.may_ask) {
      return done(fail(ErrorKind::kPermission, "a level of the workload refuses the name"));
    }
  }
  const auto target = agent_target(asker);
  if (!target) return done(fail(ErrorKind::kNotFound, "the policies have no resolver that all of them trust"));
  upstream_.ask(*target, build_question(question, true), done);
}

void AgentResolver::land(std::uint32_t number, std::uint32_t generation, unsigned at,
                         const Result<std::span<const std::uint8_t>>& answer) {
  Entry& entry = entries_[number];
  if (entry.generation != generation) return;  // no longer on the list
  Family& family = entry.families[at];
  family.is_asked = false;
  family.outcome = Outcome::kFailed;
  Nanoseconds wait{};
  if (answer) {
    take_answer(entry, family, build_question({.id = 0, .name = entry.name, .type = kTypes[at]}, true), *answer, wait);
  }
  if (family.outcome == Outcome::kFailed) wait = a_little_less(backoff(++family.failures));
  family.due = now_ + wait;
  due_.emplace(family.due, number, at);
  tell_change(entry);
}

void AgentResolver::take_answer(const Entry& entry, Family& family, std::span<const std::uint8_t> question,
                                std::span<const std::uint8_t> answer, Nanoseconds& wait) {
  constexpr std::uint8_t kRcodeMask = 15;
  AnswerEdit edit;
  for (const AskerLevel& level : *entry.asker) edit.hold_to(*level.image);
  if (!edit_answer(answer, question, edit, edited_) || (edited_[3] & kRcodeMask) != 0) return;
  const TeachingOutcome outcome = teacher_.teach(entry.asker, edited_, now_);
  if (outcome.withheld.reason != NW_REASON_NONE) return;
  family.failures = 0;
  family.outcome = outcome.grants != 0 ? Outcome::kGrants : Outcome::kNothing;
  const Nanoseconds ttl = seconds(cacheable_seconds(edited_));
  if (family.outcome == Outcome::kGrants) {
    wait = a_little_less(life_of(entry.asker, ttl) / 4 * 3);
  } else {
    wait = std::clamp(ttl, kNothingSoonest, kNothingLatest);
  }
  wait = std::max(wait, min_ttl_of(entry.asker));
}

void AgentResolver::tell_change(Entry& entry) {
  const auto any = [&](Outcome outcome) {
    return std::ranges::any_of(entry.families, [&](const Family& family) { return family.outcome == outcome; });
  };
  if (any(Outcome::kNotYet)) return;
  const bool was_failing = std::exchange(entry.is_failing, !any(Outcome::kGrants));
  if (entry.is_failing == was_failing) return;
  if (was_failing) {
    --failing_;
    return;
  }
  ++failing_;
  Event event;
  event.time = now_;
  event.cgroup_id = entry.asker->front().cgroup_id;
  event.hook = Hook::kAnswer;
  event.reason = NW_REASON_AGENT_LOOKUP_FAILED;
  event.name = entry.name.text();
  event.question_type = kTypes[entry.families[0].outcome == Outcome::kFailed ? 0 : 1];
  if (const auto target = agent_target(entry.asker)) {
    event.address = target->resolver.address;
    event.port = target->resolver.port;
  }
  report_(event);
}

Nanoseconds AgentResolver::a_little_less(Nanoseconds wait) {
  return wait - wait / 10 / 1024 * static_cast<std::int64_t>(chance_(++draws_) % 1024);
}

}  // namespace namewall::agent
