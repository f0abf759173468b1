// Names below wildcards that nothing is known of yet: a workload may ask for so many of them in a second, for they can
// carry data out.
#include <thread>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

constexpr int kBound = 20, kMany = 100;
// The seconds of the bound begin at fixed times: two of them may see a part of the questions each.
constexpr int kMostPassed = 2 * kBound;

class FreshNames : public WorkloadTest {
 protected:
  static Policy bounded(std::vector<std::string> allow) {
    auto policy = make_policy(allow);
    policy.dns.bounds.fresh_per_second = kBound;
    return policy;
  }
  // One socket asks for `names` in turn, without waiting for answers; how many questions passed.
  int ask_all(const std::vector<std::string>& names) {
    return in_cgroup(cgroup_, [&] {
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      const auto to = resolver();
      if (connect(client.get(), to.get(), to.length) != 0) return -1;
      int passed = 0;
      std::uint16_t id = 0;
      for (const auto& name : names) {
        const auto question = make_question(++id, name, 1);
        if (send(client.get(), question.data(), question.size(), 0) > 0) ++passed;
      }
      return passed;
    });
  }
  static std::vector<std::string> numbered(const std::string& suffix) {
    std::vector<std::string> names;
    for (int i = 0; i < kMany; ++i) names.push_back("n" + std::to_string(i) + suffix);
    return names;
  }
  static std::vector<std::string> repeated(const std::string& name) { return {kMany, name}; }
};

TEST_F(FreshNames, BelowAWildcardAreBounded) {
  arm(bounded({"*.wild.test"}));
  const int passed = ask_all(numbered(".wild.test"));
  EXPECT_GE(passed, kBound);
  EXPECT_LE(passed, kMostPassed);
  EXPECT_EQ(count_of(NW_REASON_FRESH_NAMES), static_cast<std::uint64_t>(kMany - passed));
  const auto events = take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].reason, NW_REASON_FRESH_NAMES);
  EXPECT_EQ(events[0].hook, Hook::kQuestion);
  EXPECT_FALSE(events[0].packet.empty()) << "so that the agent can answer it";
}

TEST_F(FreshNames, OfAPatternWithAnInnerWildcardAreBounded) {
  arm(bounded({"n*.wild.test"}));
  EXPECT_LE(ask_all(numbered(".wild.test")), kMostPassed);
}

TEST_F(FreshNames, AreAllowedAgainInTheNextSecond) {
  arm(bounded({"*.wild.test"}));
  ask_all(numbered(".wild.test"));
  std::this_thread::sleep_for(milliseconds(1200));
  EXPECT_GE(ask_all({"late.wild.test"}), 1);
}

TEST_F(FreshNames, AreNoneThatARuleLists) {
  auto policy = bounded({"exact.test", "*.wild.test"});
  policy.dns.search = {DomainName::from_normal("corp.test")};
  arm(policy);
  EXPECT_EQ(ask_all(repeated("exact.test")), kMany);
  EXPECT_EQ(ask_all(repeated("exact.test.corp.test")), kMany) << "a search-list form";
  EXPECT_LE(ask_all(numbered(".wild.test.corp.test")), kMostPassed) << "those of a wildcard are as many as its names";
}

TEST_F(FreshNames, AreNoneThatHaveTaughtSomething) {
  zone_.add("known.wild.test", ip("192.0.2.7"));
  serve_zone();
  arm(bounded({"*.wild.test"}));
  EXPECT_TRUE(look_up_inside("known.wild.test").delivered());
  EXPECT_EQ(ask_all(repeated("known.wild.test")), kMany);
  replace(bounded({"*.wild.test", "other.test"}));
  EXPECT_EQ(ask_all(repeated("known.wild.test")), kMany) << "judged under another policy";
  ask_all(numbered(".wild.test"));
  EXPECT_EQ(ask_all(repeated("known.wild.test")), kMany) << "at the bound";
}

TEST_F(FreshNames, OfOneWorkloadDoNotCountForAnother) {
  const ThrowawayCgroup other;
  arm(bounded({"*.wild.test"}));
  arm_other(other, bounded({"*.wild.test"}));
  ask_all(numbered(".wild.test"));
  EXPECT_EQ(in_cgroup(other, [] { return look_up(resolver(), "n.wild.test"); }).send_error, 0);
}

TEST_F(FreshNames, PassAndAreReportedInAuditMode) {
  auto policy = bounded({"*.wild.test"});
  policy.mode = Mode::kAudit;
  arm(policy);
  EXPECT_EQ(ask_all(numbered(".wild.test")), kMany);
  EXPECT_GE(count_of(NW_REASON_FRESH_NAMES), static_cast<std::uint64_t>(kMany - kMostPassed));
}

}  // namespace
}  // namespace namewall::kernel_tests
