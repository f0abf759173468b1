// resolve = "agent": names that a workload cannot look up itself. The agent asks for their A and AAAA ahead of expiry
// and teaches what comes as for a client's lookup, at every level of the workload: no name is asked that a level
// refuses, and no resolver that a level does not trust; such a name fails.
//
// A family of a name is asked again at three quarters of its grants' life (a little earlier, by chance), never sooner
// than after min_ttl and a second; after a failure in 1 s, doubling up to 60 s. A name fails where no family gives an
// address that a policy grants and every family was asked: one event, AGENT_LOOKUP_FAILED, until it has resolved again;
// nothing else changes, its grants end when they end.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/proxy/answer_teacher.h"
#include "agent/proxy/asker.h"
#include "agent/proxy/keyed_hash.h"
#include "agent/proxy/slab.h"
#include "agent/proxy/upstream.h"
#include "policy/event.h"

namespace namewall::agent {

struct AgentResolverLimits {
  std::size_t lookups = 64;  // at a time
  std::uint64_t seed = 0;    // of the chance in "a little earlier"
};

// Whom the agent asks for a workload: of its innermost policy the resolvers that came from "system", or where there is
// none its own, and of these what every level trusts; from the agent's network namespace. nullopt: there is none.
std::optional<UpstreamTarget> agent_target(const Asker& asker);

class AgentResolver {
 public:
  using Report = std::function<void(const Event&)>;
  AgentResolver(Upstream& upstream, GrantSink& sink, Report report, const AgentResolverLimits& limits);
  AgentResolver(const AgentResolver&) = delete;

  void set_own_addresses(std::vector<Address> addresses) { teacher_.set_own_addresses(std::move(addresses)); }
  // For each asker, the agent_names of its innermost level. Replaces the list before; what is in both is asked again
  // when it would have been, and judged by the policies of the new list.
  void keep_fresh(const std::vector<Asker>& workloads, BootTime now);
  // The time at which answers come: to be told before the upstream gets to call its Done.
  void set_time(BootTime now) { now_ = now; }
  // Asks what is due.
  void run(BootTime now);
  // When run() is wanted next. nullopt: not before an answer comes.
  std::optional<BootTime> next_deadline() const;

  std::size_t names() const { return numbers_.size(); }
  std::size_t failing() const { return failing_; }

 private:
  enum class Outcome { kNotYet, kGrants, kNothing, kFailed };
  struct Family {
    Outcome outcome = Outcome::kNotYet;
    BootTime due;
    bool is_asked = false;  // and not answered; else it is in due_
    unsigned failures = 0;  // in a row
  };
  struct Entry {
    Asker asker;
    DomainName name = DomainName::from_normal("");
    std::array<Family, 2> families;  // A, AAAA
    std::uint32_t generation = 0;    // of the entry's use of its number
    bool is_failing = false;
  };
  using Key = std::pair<std::uint64_t, std::string>;  // innermost cgroup, name

  void add(const Asker& asker, const DomainName& name, std::uint32_t& number);
  void remove(std::uint32_t number);
  void ask(std::uint32_t number, unsigned family);
  void ask_upstream(const Asker& asker, const DomainName& name, std::uint16_t type, const Upstream::Done& done);
  void land(std::uint32_t number, std::uint32_t generation, unsigned family,
            const Result<std::span<const std::uint8_t>>& answer);
  void take_answer(const Entry& entry, Family& family, std::span<const std::uint8_t> question,
                   std::span<const std::uint8_t> answer, Nanoseconds& wait);
  void tell_change(Entry& entry);
  Nanoseconds a_little_less(Nanoseconds wait);

  Upstream& upstream_;
  AnswerTeacher teacher_;
  Report report_;
  AgentResolverLimits limits_;
  KeyedHash chance_;
  std::uint64_t draws_ = 0;
  BootTime now_;
  Slab<Entry> entries_;
  std::map<Key, std::uint32_t> numbers_;
  std::set<std::tuple<BootTime, std::uint32_t, unsigned>> due_;  // when, entry, family
  std::size_t asked_ = 0, failing_ = 0;
  std::vector<std::uint8_t> edited_;
};

}  // namespace namewall::agent
