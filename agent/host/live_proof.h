// The live proof that a workload is held: a process of ours in a cgroup made for it below the workload's
// (proof_probe.h) tries what the policy refuses, and what it must not break. Here: what to try, and what the outcome
// says. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/host_view.h"
#include "policy/address.h"
#include "policy/event.h"
#include "policy/policy_image.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

// What to try. A step that cannot be tried has its reason instead.
struct ProofPlan {
  std::optional<Address> refused_address;  // of a documentation range (RFC 5737, RFC 3849)
  Port refused_port;
  std::string no_refused_address;
  std::optional<ResolverAddress> resolver;
  std::string refused_name;  // fresh: "probe-<nonce>.namewall.invalid"
  std::string no_refused_name;
  bool refuses_packets = false;  // nftables: connect(2) begins, and a reset ends it
  bool loopback = false;
  std::string no_loopback;
};

// `nonce` chooses the address and the name: a workload must not be able to foresee them. A port that no rule
// mentions is taken where there is one.
ProofPlan plan_proof(const PolicyImage& image, std::uint64_t nonce);

// Whether the event is of that proof: not for people, not for the workload's figures. It may come before the outcome.
bool is_of_proof(const ProofPlan& plan, const Event& event);

// One step of the probe.
struct ProofStep {
  enum class Outcome : std::uint8_t { kNotTried, kAsExpected, kOtherwise };
  Outcome outcome = Outcome::kNotTried;
  int error_number = 0;  // that the call gave; 0: it worked
  std::chrono::nanoseconds took{};
};

struct ProofOutcome {
  enum class Obstacle : std::uint8_t {
    kNone,
    kFrozen,            // the workload is frozen: a process in it does not run
    kNoRoomForCgroup,   // cgroup.max.descendants, cgroup.max.depth
    kNoRoomForProcess,  // pids.max
    kNoPlace,           // neither a child cgroup nor the cgroup itself takes a process
    kGone,              // the cgroup does not exist any more
    kKilled,            // somebody killed the probe
    kTimeout,
    kOther,  // error_number says why
  };
  Obstacle obstacle = Obstacle::kNone;
  int error_number = 0;
  std::uint32_t pid = 0;       // of the probe
  bool in_own_cgroup = false;  // false: in the workload's cgroup itself
  ProofStep address, name, loopback;
  std::chrono::nanoseconds took{};  // all of it, with making and removing the cgroup
};

// The workload was judged by at least one refusal. Its counters then have one more refused connect where the address
// was tried, and one more refused question where the name was.
bool was_run(const ProofOutcome& outcome);

// For people. A proof that was not run has not passed; its only step says "not run: ...".
ProofView describe_proof(const std::string& workload, const ProofPlan& plan, const ProofOutcome& outcome);

}  // namespace namewall::agent
