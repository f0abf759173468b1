// Learning, connecting, reaping and refreshing at the same time, on both CPUs: nothing that was taught is ever refused.
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

// The address that the server gives for "p<P>-n<N>.fresh.test": every (P, N) its own.
Address fresh_address(std::uint32_t process, std::uint32_t number) {
  const std::uint32_t n = process << 20 | number;
  return Address::v4(
      {10, static_cast<std::uint8_t>(1 + (n >> 16)), static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)});
}

std::string fresh_name(std::uint32_t process, std::uint32_t number) {
  return "p" + std::to_string(process) + "-n" + std::to_string(number) + ".fresh.test";
}

class Races : public WorkloadTest {
 protected:
  static constexpr std::uint32_t kProcesses = 4;

  void SetUp() override {
    WorkloadTest::SetUp();
    dns_->answer_with([this](const ReceivedQuestion& q) -> std::vector<Reply> {
      unsigned process = 0, number = 0;
      if (std::sscanf(q.read.name.c_str(), "p%u-n%u.", &process, &number) != 2) return {};
      return {{make_answer(q.bytes, {{q.read.name, ttl_, "", fresh_address(process, number)}})}};
    });
  }

  Policy fresh_policy() {
    auto policy = make_policy({"*://*.fresh.test:443?private"});
    policy.dns.max_addresses = 4096;
    return policy;
  }

  struct Outcome {
    std::uint64_t lookups = 0, unanswered = 0, lost = 0, late = 0, evil_passed = 0;
  };
  // Each process looks fresh names up and connects at once; a withheld answer is asked for again, as resolvers do.
  // A refused connect that came later than the shortest grant lives says nothing: this process was not scheduled.
  static constexpr milliseconds kShortestLife{60};
  static Outcome look_up_and_connect(std::uint32_t process, std::uint32_t count, std::uint32_t modulus, int attempts) {
    Outcome outcome;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t number = i % modulus;
      bool delivered = false;
      std::chrono::steady_clock::time_point asked;
      for (int attempt = 0; attempt < attempts && !delivered; ++attempt) {
        asked = std::chrono::steady_clock::now();
        delivered =
            look_up(resolver(), fresh_name(process, number), 1, milliseconds(attempts > 1 ? 200 : 5000)).delivered();
        outcome.unanswered += !delivered;
      }
      ++outcome.lookups;
      if (!delivered) continue;
      if (udp_connect(fresh_address(process, number), 443) != 0) {
        const bool is_late = std::chrono::steady_clock::now() - asked >= kShortestLife;
        ++(is_late ? outcome.late : outcome.lost);
      }
      if (i % 64 == 0) outcome.evil_passed += udp_connect(ip("203.0.113.66"), 443) != ECONNREFUSED;
    }
    return outcome;
  }
  Outcome run_processes(std::uint32_t count_each, std::uint32_t modulus, int attempts,
                        const std::function<void()>& meanwhile = {}) {
    std::vector<WorkloadProcess> processes;
    for (std::uint32_t p = 0; p < kProcesses; ++p) {
      processes.emplace_back(cgroup_, [=] {
        const auto outcome = look_up_and_connect(p, count_each, modulus, attempts);
        return std::string(reinterpret_cast<const char*>(&outcome), sizeof(outcome));
      });
    }
    if (meanwhile) meanwhile();
    Outcome total;
    for (auto& process : processes) {
      const auto bytes = process.wait(std::chrono::minutes(30));
      Outcome one;
      if (bytes.size() != sizeof(one)) continue;
      std::memcpy(&one, bytes.data(), sizeof(one));
      total.lookups += one.lookups;
      total.unanswered += one.unanswered;
      total.lost += one.lost;
      total.late += one.late;
      total.evil_passed += one.evil_passed;
    }
    return total;
  }

  std::atomic<std::uint32_t> ttl_{600};

  void fresh_lookups(std::uint32_t total) {
    auto policy = fresh_policy();
    policy.dns.max_addresses = total;
    arm(policy);
    const auto outcome = run_processes(total / kProcesses, ~0u, 1);
    EXPECT_EQ(outcome.lookups, total / kProcesses * kProcesses);
    EXPECT_EQ(outcome.unanswered, 0u);
    EXPECT_EQ(outcome.lost, 0u);
    EXPECT_EQ(outcome.evil_passed, 0u);
  }

  // Many more fresh addresses than the bound, over their times.
  void over_the_bound(std::uint32_t bound, std::uint32_t times) {
    ttl_ = 0;
    auto policy = fresh_policy();
    policy.dns.max_addresses = bound;
    policy.dns.min_ttl = milliseconds(100);
    policy.dns.grace = Nanoseconds(0);
    arm(policy);
    const std::uint32_t each = bound * times / kProcesses;
    const auto outcome = run_processes(each, ~0u, 50);
    EXPECT_EQ(outcome.lookups, each * kProcesses);
    EXPECT_EQ(outcome.lost, 0u);
    EXPECT_LE(granted_addresses().size(), bound + bound / 2);
    RecordProperty("withheld", static_cast<int>(outcome.unanswered));
  }

  void loader_dies_halfway(std::uint32_t each) {
    ttl_ = 600;
    Rendezvous armed;
    const auto image = compile([&] {
      auto policy = fresh_policy();
      policy.dns.max_addresses = 4 * each;
      return policy;
    }());
    const pid_t loader = fork();
    if (loader == 0) {
      bpf::LoadOptions load;
      auto enforcer = bpf::Enforcer::load(load);
      bpf::ArmOptions options;
      options.trusted_netns = {*bpf::netns_cookie()};
      if (!enforcer || !enforcer->arm(cgroup_.fd(), image, options)) _exit(1);
      armed.arrive_and_wait();
      _exit(0);
    }
    ASSERT_TRUE(armed.await_arrival());
    const auto outcome = run_processes(each, ~0u, 1, [&] {
      std::this_thread::sleep_for(milliseconds(each / 20));
      kill(loader, SIGKILL);
      waitpid(loader, nullptr, 0);
    });
    EXPECT_EQ(outcome.lookups, each * kProcesses);
    EXPECT_EQ(outcome.unanswered, 0u);
    EXPECT_EQ(outcome.lost, 0u);
    EXPECT_EQ(outcome.evil_passed, 0u);
  }

  // A few names, so short-lived that they expire between visits: refresh, reap, claim and connect meet all the time.
  void refresh_against_reap(std::uint32_t each) {
    ttl_ = 0;
    auto policy = fresh_policy();
    policy.dns.min_ttl = kShortestLife;
    policy.dns.max_addresses = 64;
    arm(policy);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> reaped{0};
    std::thread reaper([&] {
      while (!stop) {
        const auto count = enforcer_->reap(workload_, std::chrono::seconds(0));
        if (!count) {
          ADD_FAILURE() << count.error().message();
          return;
        }
        reaped += *count;
      }
    });
    // The names of one process are revisited after 4 lookups; a pause lets some expire.
    const auto outcome = run_processes(each, 4, 50);
    stop = true;
    reaper.join();
    EXPECT_EQ(outcome.lookups, each * kProcesses);
    EXPECT_EQ(outcome.lost, 0u);
    EXPECT_LT(outcome.late * 100, outcome.lookups);
    EXPECT_EQ(outcome.evil_passed, 0u);
    RecordProperty("reaped", static_cast<int>(reaped));
    RecordProperty("withheld", static_cast<int>(outcome.unanswered));
  }
};

TEST_F(Races, FreshLookupsAreFollowedByConnectsThatPass) { fresh_lookups(10'000); }
TEST_F(Races, SoakFreshLookupsAreFollowedByAHundredThousandConnectsThatPass) { fresh_lookups(100'000); }
TEST_F(Races, LoaderKilledHalfwayLosesNothing) { loader_dies_halfway(1'250); }
TEST_F(Races, SoakLoaderKilledHalfwayLosesNothing) { loader_dies_halfway(25'000); }
TEST_F(Races, TwentyTimesTheBoundPassesOverItsTimes) { over_the_bound(64, 20); }
TEST_F(Races, SoakTwentyTimesTheBoundPassesOverItsTimes) { over_the_bound(1024, 20); }
TEST_F(Races, RefreshAgainstReapLosesNothing) { refresh_against_reap(2'500); }
TEST_F(Races, SoakRefreshAgainstReapLosesNothing) { refresh_against_reap(50'000); }

TEST_F(Races, ReapRemovesExpiredNamesAndOnlyThose) {
  auto policy = fresh_policy();
  policy.dns.min_ttl = milliseconds(200);
  arm(policy);
  ttl_ = 0;
  for (std::uint32_t i = 0; i < 10; ++i) ASSERT_TRUE(look_up_inside(fresh_name(0, i)).delivered());
  ttl_ = 600;
  for (std::uint32_t i = 10; i < 15; ++i) ASSERT_TRUE(look_up_inside(fresh_name(0, i)).delivered());
  std::this_thread::sleep_for(milliseconds(250));
  const auto kept = enforcer_->reap(workload_);
  ASSERT_TRUE(kept) << kept.error().message();
  EXPECT_EQ(*kept, 0u) << "an expired name still explains refusals for an hour";
  const auto reaped = enforcer_->reap(workload_, std::chrono::seconds(0));
  ASSERT_TRUE(reaped) << reaped.error().message();
  EXPECT_EQ(*reaped, 10u);
  for (std::uint32_t i = 10; i < 15; ++i) EXPECT_EQ(tcp_inside(fresh_address(0, i)), 0);
}

TEST_F(Races, ShortLivedNamesComeAndGoBesideLongLivedOnes) {
  // A full name table is scanned when something in it can have expired: also what came after the last scan.
  auto policy = fresh_policy();
  policy.dns.min_ttl = milliseconds(100);
  policy.dns.max_addresses = 64;
  arm(policy);
  ttl_ = 600;
  // The table has room for 128 names: 8 of these and three rounds of 40, so that a scan finds only these alive.
  for (std::uint32_t i = 0; i < 8; ++i) ASSERT_TRUE(look_up_inside(fresh_name(0, i)).delivered());
  ttl_ = 0;
  const auto unanswered = in_cgroup(cgroup_, [] {
    std::uint64_t count = 0;
    for (std::uint32_t round = 0; round < 12; ++round) {
      for (std::uint32_t i = 0; i < 40; ++i) {
        count += !look_up(resolver(), fresh_name(1, round * 40 + i), 1, milliseconds(50)).delivered();
      }
      std::this_thread::sleep_for(milliseconds(120));
    }
    return count;
  });
  EXPECT_EQ(unanswered, 0u) << "48 names live at a time, where 64 addresses may be";
  EXPECT_EQ(count_of(NW_REASON_NAMES_FULL), 0u);
  EXPECT_GT(counter("reap_scans"), 0u);
}

TEST_F(Races, HostileFloodMeetsItsBoundsAndTheNeighbourKeepsItsFullShare) {
  dns_->answer_with([](const ReceivedQuestion& q) -> std::vector<Reply> {
    unsigned process = 0, number = 0;
    if (std::sscanf(q.read.name.c_str(), "p%u-n%u.", &process, &number) != 2) return {};
    std::vector<ZoneRecord> records;
    const unsigned count = process == 9 ? 200 : 1;  // the hostile one gets 200 fresh addresses per answer
    const unsigned first = number * count;
    for (unsigned i = 0; i < count; ++i) records.push_back({q.read.name, 600, "", fresh_address(process, first + i)});
    return {{make_answer(q.bytes, records)}};
  });
  auto policy = fresh_policy();
  policy.dns.max_addresses = 256;
  arm(policy);
  const ThrowawayCgroup neighbour;
  arm_other(neighbour, policy);
  std::vector<WorkloadProcess> hostile;
  hostile.emplace_back(cgroup_, [] {
    for (std::uint32_t n = 0; n < 400; ++n) look_up(resolver(), fresh_name(9, n), 1, milliseconds(5));
    return std::string();
  });
  hostile.emplace_back(cgroup_, [] {
    for (int n = 0; n < 200'000; ++n) udp_connect(ip("203.0.113.66"), 443);
    return std::string();
  });
  const auto outcome = in_cgroup(
      neighbour, [] { return look_up_and_connect(1, 200, ~0u, 1); }, std::chrono::minutes(2));
  for (auto& process : hostile) process.wait(std::chrono::minutes(2));
  EXPECT_EQ(outcome.lookups, 200u);
  EXPECT_EQ(outcome.unanswered, 0u);
  EXPECT_EQ(outcome.lost, 0u);
  EXPECT_GT(count_of(NW_REASON_GRANTS_FULL), 0u);
  EXPECT_LE(granted_addresses().size(), 256u + 128u);
  EXPECT_EQ(count_of(NW_REASON_NOT_LOOKED_UP), 200'000u);
}

TEST_F(Races, FullGrantTableWithholdsAnswersAndKeepsWhatItHas) {
  auto policy = fresh_policy();
  policy.dns.max_addresses = 16;
  arm(policy);
  const auto outcome = in_cgroup(cgroup_, [] {
    Outcome result;
    for (std::uint32_t i = 0; i < 200; ++i) {
      ++result.lookups;
      if (!look_up(resolver(), fresh_name(0, i), 1, milliseconds(20)).delivered())
        ++result.unanswered;
      else
        result.lost += udp_connect(fresh_address(0, i), 443) != 0;
    }
    return result;
  });
  EXPECT_EQ(outcome.lost, 0u) << "an answer is delivered only with its addresses installed";
  EXPECT_GE(outcome.unanswered, 200u - 24u);
  EXPECT_EQ(count_of(NW_REASON_GRANTS_FULL) + count_of(NW_REASON_NAMES_FULL), outcome.unanswered);
  EXPECT_GE(granted_addresses().size(), 12u) << "the bound is worth most of its number";
}

}  // namespace
}  // namespace namewall::kernel_tests
