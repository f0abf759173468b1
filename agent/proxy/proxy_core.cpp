#include "agent/proxy/proxy_core.h"

#include <utility>

#include "agent/proxy/proxy_state.h"
#include "policy/answer_edit.h"

namespace namewall::agent {
namespace {

constexpr unsigned kQuestionsInATurn = 128;

}  // namespace

bool may_use_cache(const Asker& asker) {
  for (const AskerLevel& level : *asker) {
    if (!level.image->cache) return false;
  }
  return true;
}

bool ProxyCore::State::may_begin_flight(const WorkloadAccount& account) const {
  // Room is shared by what is left of it: who has many flights gets no more while fewer than that are free.
  return flights.size() + account.flights < limits.flights;
}

bool ProxyCore::State::ask_next() {
  const std::uint32_t number = queue.front();
  WaitingQuestion& question = room[number];
  if (question.is_abandoned) {
    queue.pop();
    release(number);
    return true;
  }
  auto asked = upstream_question(question.message);
  if (!asked) {  // it parsed when it came in
    queue.pop();
    give_no_answer(question);
    release(number);
    return true;
  }
  const std::uint64_t key = hash(*asked, targets.serial(question.target));
  if (may_use_cache(question.asker)) {
    if (const auto hit = cache.find(key, targets.serial(question.target), *asked, now)) {
      queue.pop();
      count(question.account, &ProxyFigures::cache_hits);
      let_out(number, hit->answer, hit->age);
      return true;
    }
  }
  std::uint32_t flight = flights.find(key, question.target, *asked);
  if (flight != HashIndex::kNone) {
    queue.pop();
    count(question.account, &ProxyFigures::joined);
    flights.join(flight, number);
    return true;
  }
  if (!may_begin_flight(ledger[question.account])) return false;
  queue.pop();
  count(question.account, &ProxyFigures::asked_upstream);
  flight = flights.begin(key, question.target, *asked, question.account);
  flights.join(flight, number);
  ++ledger[question.account].flights;
  targets.use_again(question.target);
  const std::uint32_t generation = flights[flight].generation;
  upstream.ask(
      targets[question.target], *std::move(asked),
      [this, flight, generation](Result<std::span<const std::uint8_t>> answer) { land(flight, generation, answer); });
  return true;
}

void ProxyCore::State::release(std::uint32_t number) {
  const WaitingQuestion& question = room[number];
  ledger[question.account].bytes -= question.bytes();
  for (const AskerLevel& level : *question.asker) ledger[ledger.account_of(level.cgroup_id)].bounds.end_unanswered();
  targets.give_up(question.target);
  room.release(number);
}

void ProxyCore::State::forget_workload(std::uint64_t cgroup_id) {
  settle();  // judged by the policies so far, like all that was let out before
  room.for_each([&](WaitingQuestion& question) {
    if (question.is_abandoned) return;
    for (const AskerLevel& level : *question.asker) {
      if (level.cgroup_id == cgroup_id) return judge_again(question);
    }
  });
  if (output.find_asker(cgroup_id) == nullptr) ledger.forget(cgroup_id);
}

ProxyCore::ProxyCore(Upstream& upstream, GrantSink& sink, ProxyOutput& output, const ProxyLimits& limits)
    : state_(std::make_unique<State>(upstream, sink, output, limits)) {}
ProxyCore::~ProxyCore() = default;

void ProxyCore::set_own_addresses(std::vector<Address> addresses) {
  state_->teacher.set_own_addresses(std::move(addresses));
}

void ProxyCore::set_time(BootTime now) { state_->now = now; }

void ProxyCore::on_question(const ClientQuestion& question, BootTime now) {
  set_time(now);
  state_->take_in(question);
}

void ProxyCore::begin_batch() { state_->is_batch = true; }

void ProxyCore::end_batch() {
  state_->is_batch = false;
  state_->settle();
}

bool ProxyCore::run_turn(BootTime now) {
  set_time(now);
  std::size_t passed = 0;  // in a row
  for (unsigned asked = 0; asked < kQuestionsInATurn && !state_->queue.empty();) {
    if (state_->ask_next()) {
      ++asked;
      passed = 0;
    } else {
      state_->queue.pass();
      if (++passed >= state_->queue.accounts()) return false;
    }
  }
  return !state_->queue.empty();
}

void ProxyCore::forget_place(std::uint64_t place) { state_->room.abandon_place(place); }

void ProxyCore::forget_workload(std::uint64_t cgroup_id) { state_->forget_workload(cgroup_id); }

void ProxyCore::tick(BootTime now) {
  set_time(now);
  state_->cache.sweep(now);
  state_->ledger.sweep(now);
  state_->targets.sweep(now);
}

ProxyFigures ProxyCore::figures() const {
  ProxyFigures figures = state_->total;
  figures.cached_bytes = state_->cache.bytes();
  figures.waiting = state_->queue.size();
  figures.in_flight = state_->flights.size();
  return figures;
}

std::vector<std::pair<std::uint64_t, ProxyFigures>> ProxyCore::figures_by_workload() const {
  std::vector<std::pair<std::uint64_t, ProxyFigures>> all;
  for (const std::uint32_t number : state_->ledger.all()) {
    const WorkloadAccount& account = state_->ledger[number];
    all.emplace_back(account.cgroup_id, account.figures);
    all.back().second.in_flight = account.flights;
  }
  return all;
}

}  // namespace namewall::agent
