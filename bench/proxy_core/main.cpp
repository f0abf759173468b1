// What ProxyCore itself costs for one question, in microseconds of CPU: resolver, kernel and sockets are stand-ins that
// do nothing. `bench_proxy_core [QUESTIONS]` prints one line for each case; the median of seven rounds.
//
//   uncached   asked, answered with one A, taught, edited, sent
//   cached     the same from the cache
//   wildcard   uncached, with names that only a wildcard covers
//   refused    a name that no rule allows
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/proxy/proxy_core.h"
#include "policy/dns_message.h"
#include "policy/policy_loader.h"

namespace {

using namespace namewall;
using Bytes = std::vector<std::uint8_t>;

constexpr int kNames = 500, kBatch = 32, kRounds = 7;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Holds questions until they are answered, all at once: with the question as it was asked and one A.
class Resolver : public agent::Upstream {
 public:
  void ask(const agent::UpstreamTarget&, Bytes query, Done done) override {
    waiting_.push_back({std::move(query), std::move(done)});
  }
  void answer_all() {
    static constexpr std::uint8_t kOneA[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1};
    for (Waiting& one : waiting_) {
      one.query[2] |= 0x80;
      one.query[7] = 1;
      one.query.insert(one.query.end(), std::begin(kOneA), std::end(kOneA));
      one.done(std::span<const std::uint8_t>(one.query));
    }
    waiting_.clear();
  }

 private:
  struct Waiting {
    Bytes query;
    Done done;
  };
  std::vector<Waiting> waiting_;
};

class Kernel : public agent::GrantSink {
 public:
  Reason teach(std::uint64_t, const Lesson& lesson, BootTime) override {
    grants += lesson.grants.size();
    return NW_REASON_NONE;
  }
  std::size_t grants = 0;
};

class Clients : public agent::ProxyOutput {
 public:
  void reply(const agent::ClientHandle&, std::span<const std::uint8_t>) override { ++replies; }
  void report(const Event&) override {}
  std::size_t replies = 0;
};

agent::Asker make_asker(bool cache) {
  std::vector<std::string> allow = {"*.wild.example"};
  for (int i = 0; i < kNames; ++i) allow.push_back("registry" + std::to_string(i) + ".npmjs.example");
  auto loaded = load_policy_arguments(allow, {});
  loaded.value.dns.resolvers_from_system = loaded.value.dns.search_from_system = false;
  loaded.value.dns.resolvers = {{Address::v4({192, 0, 2, 53}), Port{53}}};
  auto image = compile_policy(loaded.value, HostPolicy{}, ResolvConf{});
  if (!image) std::abort();
  image->cache = cache;
  image->bounds = {.in_flight = 100000, .per_second = 100000000, .fresh_per_second = 100000000};
  return std::make_shared<std::vector<agent::AskerLevel>>(
      std::vector<agent::AskerLevel>{{7, "/w", std::make_shared<PolicyImage>(*std::move(image))}});
}

std::vector<Bytes> questions_below(const std::string& prefix, const std::string& suffix) {
  std::vector<Bytes> questions;
  for (int i = 0; i < kNames; ++i) {
    questions.push_back(build_question(
        {.id = 1, .name = DomainName::from_normal(prefix + std::to_string(i) + suffix), .type = kTypeA}));
  }
  return questions;
}

// Microseconds for each of `count` questions.
double measure(bool cache, const std::vector<Bytes>& questions, int count) {
  Resolver resolver;
  Kernel kernel;
  Clients clients;
  agent::ProxyCore core(resolver, kernel, clients, {.seed = 42});
  const agent::Asker asker = make_asker(cache);
  const agent::UpstreamTarget target{0, {Address::v4({192, 0, 2, 53}), Port{53}}, {}};
  const BootTime now{std::chrono::seconds(1000)};
  const auto run = [&](int from, int to) {
    for (int i = from; i < to;) {
      for (int in_batch = 0; in_batch < kBatch && i < to; ++in_batch, ++i) {
        const Bytes& question = questions[static_cast<std::size_t>(i) % questions.size()];
        core.on_question({{1, static_cast<std::uint64_t>(i)}, asker, target, false, 0, 0, question}, now);
      }
      while (core.run_turn(now)) {
      }
      resolver.answer_all();
    }
  };
  run(0, 4 * kNames);
  const double start = cpu_seconds();
  run(0, count);
  const double seconds = cpu_seconds() - start;
  if (clients.replies != static_cast<std::size_t>(count) + 4 * kNames) std::abort();
  return seconds * 1e6 / count;
}

void print_median(const char* what, bool cache, const std::vector<Bytes>& questions, int count) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) rounds.push_back(measure(cache, questions, count));
  std::sort(rounds.begin(), rounds.end());
  std::printf("%-9s %.2f us (%.2f to %.2f)\n", what, rounds[kRounds / 2], rounds.front(), rounds.back());
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 200000;
  const auto listed = questions_below("registry", ".npmjs.example");
  print_median("uncached", false, listed, count);
  print_median("cached", true, listed, count);
  print_median("wildcard", false, questions_below("some-name-", ".wild.example"), count);
  print_median("refused", false, questions_below("some-name-", ".evil.example"), count);
  return 0;
}
