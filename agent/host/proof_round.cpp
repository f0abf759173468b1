#include "agent/host/proof_round.h"

#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "agent/host/host_clock.h"
#include "agent/host/opened_cgroup.h"
#include "agent/host/proof_probe.h"

namespace namewall::agent {
namespace {

constexpr Nanoseconds kEventsComeWithin = std::chrono::seconds(2);

std::uint64_t make_nonce() {
  std::uint64_t nonce = 0;
  // Without randomness the proof is only easier to foresee.
  (void)!::getrandom(&nonce, sizeof nonce, GRND_NONBLOCK);
  return nonce;
}

bool is_due(const Workload& workload, Nanoseconds interval, BootTime now) {
  if (!workload.is_armed || !workload.policy || workload.cgroup.empty() || !is_proved_in_turn(workload)) return false;
  return !workload.proof.tried_at || now - *workload.proof.tried_at >= interval;
}

std::string failed_step(const ProofView& proof) {
  for (const std::string& step : proof.steps) {
    if (step.starts_with("not run")) return step;
  }
  return proof.steps.empty() ? "failed" : "failed: " + proof.steps.front();
}

}  // namespace

bool ProofRound::is_own(const Event& event) const {
  return std::any_of(recent_.begin(), recent_.end(), [&](const Recent& recent) {
    // Under a template the probe's cgroup is a child with an id of its own.
    return is_of_proof(recent.plan, event);
  });
}

Result<void> ProofRound::start(const Workload& workload, BootTime now,
                               std::function<void(Result<ProofView>, bool)> done) {
  const auto opened = open_cgroup(parts_.cgroups, workload.cgroup, workload.cgroup_id);
  if (!opened) return tl::unexpected(opened.error());
  const ProofPlan plan = plan_proof(*workload.policy->image(), make_nonce());
  recent_.push_back({workload.cgroup_id, plan, now + kProofDeadline + kEventsComeWithin});
  parts_.helper.prove(opened->fd.get(), plan, now,
                      [plan, name = workload.name, done = std::move(done)](Result<ProofOutcome> outcome) {
                        if (!outcome) return done(tl::unexpected(outcome.error()), false);
                        done(describe_proof(name, plan, *outcome), was_run(*outcome));
                      });
  return {};
}

void ProofRound::note(std::uint64_t cgroup_id, const Result<ProofView>& proof, bool was_run) {
  Workload* workload = parts_.registry.find_by_id(cgroup_id);
  if (workload == nullptr) return;
  ProofState& state = workload->proof;
  const bool passed = proof && proof->passed;
  const bool failed_before = state.is_failure;
  state.tried_at = boot_now();
  state.is_failure = was_run && !passed;
  state.text = passed ? "passed" : proof ? failed_step(*proof) : "not run: " + proof.error().message();
  if (passed) state.passed_at = state.tried_at;
  if (!state.is_failure) return;
  ++parts_.figures.proof_failures;
  if (!failed_before)
    parts_.diary.notice(Priority::kError, workload->name, "proof_failed", "the live proof " + state.text);
}

void ProofRound::tick(BootTime now) {
  while (!recent_.empty() && recent_.front().until < now) recent_.pop_front();
  const Nanoseconds interval = parts_.settings().probe_interval;
  if (interval <= Nanoseconds::zero() || !parts_.helper.is_alive()) return;
  if (round_.empty()) {
    std::as_const(parts_.registry).each([&](const Workload& workload) {
      if (is_due(workload, interval, now)) round_.push_back(workload.cgroup_id);
    });
  }
  const std::size_t share = parts_.registry.size() <= kFewWorkloads ? kPerTickOfFew : kPerTickOfMany;
  for (std::size_t started = 0; started < share && !round_.empty();) {
    const std::uint64_t id = round_.front();
    round_.pop_front();
    Workload* workload = parts_.registry.find_by_id(id);
    if (workload == nullptr || !is_due(*workload, interval, now)) continue;
    workload->proof.tried_at = now;
    ++started;
    const auto begun =
        start(*workload, now, [this, id](const Result<ProofView>& proof, bool was_run) { note(id, proof, was_run); });
    if (!begun) note(id, tl::unexpected(begun.error()), false);
  }
}

Result<ProofView> ProofRound::prove(const Workload& workload) {
  if (!workload.policy) return fail(ErrorKind::kConflict, "nobody knows the policy of " + workload.name);
  if (!is_provable(workload)) {
    return fail(ErrorKind::kUnsupported,
                "nftables refuses cgroups below " + workload.name + " everything until each is armed: prove those");
  }
  const std::uint64_t id = workload.cgroup_id;
  auto outcome = std::make_shared<std::optional<Result<ProofView>>>();
  const BootTime begin = boot_now();
  const auto begun = start(workload, begin, [this, id, outcome](const Result<ProofView>& proof, bool was_run) {
    note(id, proof, was_run);
    *outcome = proof;
  });
  if (!begun) return tl::unexpected(begun.error());
  while (!*outcome && boot_now() - begin < 2 * kProofDeadline) {
    // The probe's lookup may be the proxy's to refuse.
    pollfd waiting[] = {{parts_.helper.fd(), POLLIN, 0}, {parts_.proxy_fd, POLLIN, 0}};
    if (::poll(waiting, 2, 50) > 0) {
      if (waiting[0].revents != 0) parts_.helper.read_answers();
      if (waiting[1].revents != 0) parts_.serve_proxy();
    }
    parts_.helper.expire(boot_now());
  }
  if (!*outcome) return fail(ErrorKind::kSystem, "the proof of " + workload.name + " did not end in time");
  return **outcome;
}

}  // namespace namewall::agent
