// Bounds of workloads and their turns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/proxy/proxy_fixture.h"

namespace namewall::agent {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

Asker bounded(std::uint64_t cgroup_id, const DnsBounds& bounds) {
  return testing::asker_of(
      {{cgroup_id, image_where({"a.example", "*.wild.example"}, [&](auto& image) { image.bounds = bounds; })}});
}
const DnsBounds kWide{.in_flight = 20000, .per_second = 100000, .fresh_per_second = 100000};
std::string nth(int i) { return "n" + std::to_string(i) + ".wild.example"; }

class ProxyFairnessTest : public ProxyCoreTest {
 protected:
  explicit ProxyFairnessTest(const ProxyLimits& limits = {.workload_bytes = 64u << 20}) : ProxyCoreTest(limits) {}
};

TEST_F(ProxyFairnessTest, AQuestionWaitsForOneOfEachNeighbourNotForAllOfThem) {
  const Asker hog = bounded(7, kWide), neighbour = bounded(8, kWide);
  for (int i = 0; i < 10000; ++i) put(hog, nth(i));
  put(neighbour, "a.example");
  core.run_turn(now);
  ASSERT_GE(upstream.asked.size(), 2u);
  EXPECT_EQ(upstream.asked[1].question().name.text(), "a.example");
}

TEST_F(ProxyFairnessTest, ATurnIsBoundedAndSaysThatMoreWaits) {
  const Asker hog = bounded(7, kWide);
  for (int i = 0; i < 1000; ++i) put(hog, nth(i));
  EXPECT_TRUE(core.run_turn(now));
  EXPECT_LE(upstream.asked.size(), 200u);
  while (core.run_turn(now)) {
  }
  EXPECT_EQ(upstream.asked.size(), 1000u);
  EXPECT_EQ(core.figures().waiting, 0u);
  EXPECT_EQ(core.figures().in_flight, 1000u);
}

TEST_F(ProxyFairnessTest, RefusesAtEachBoundWithItsReason) {
  const auto reason_after = [&](const Asker& asker, int count, bool fresh) {
    for (int i = 0; i < count; ++i) put(asker, fresh ? nth(i) : "a.example", {.size = 1232});
    EXPECT_EQ(last_reply().rcode(), 5u);
    EXPECT_EQ(last_reply().extended_error(), 18u);
    EXPECT_THAT(last_reply().text(), HasSubstr(std::string(sentence_of(last_event().reason)).substr(0, 40)));
    return last_event().reason;
  };
  EXPECT_EQ(reason_after(bounded(1, {.in_flight = 4}), 5, false), NW_REASON_QUERIES_IN_FLIGHT);
  EXPECT_EQ(reason_after(bounded(2, {.in_flight = 100, .per_second = 4}), 5, false), NW_REASON_QUERY_RATE);
  EXPECT_EQ(reason_after(bounded(3, {.fresh_per_second = 4}), 5, true), NW_REASON_FRESH_NAMES);
  EXPECT_EQ(core.figures().over_bounds, 3u);
  EXPECT_EQ(clients.replies.size(), 3u);
}

TEST_F(ProxyFairnessTest, AnAnswerMakesRoomForAQuestion) {
  const Asker asker = bounded(1, {.in_flight = 1});
  ask(asker, "a.example");
  ask(asker, "a.example");
  ASSERT_EQ(clients.replies.size(), 1u);
  answer("a.example");
  ask(asker, "a.example");
  EXPECT_EQ(clients.replies.size(), 3u);
  EXPECT_EQ(last_reply().rcode(), 0u);
}

TEST_F(ProxyFairnessTest, ListedNamesAreNeverFresh) {
  const Asker asker = bounded(1, {.fresh_per_second = 0});
  ask(asker, "a.example");
  EXPECT_TRUE(clients.replies.empty());
  ask(asker, nth(1));
  EXPECT_EQ(last_event().reason, NW_REASON_FRESH_NAMES);
}

TEST_F(ProxyFairnessTest, AuditModePassesFreshNamesAndReportsThem) {
  PolicyImage image = image_of({"*.wild.example"}, {}, [](Policy& policy) { policy.mode = Mode::kAudit; });
  image.bounds.fresh_per_second = 1;
  const Asker asker = testing::asker_of({{1, image}});
  ask(asker, nth(1));
  ask(asker, nth(2));
  EXPECT_EQ(upstream.asked.size(), 2u);
  EXPECT_EQ(last_event().reason, NW_REASON_FRESH_NAMES);
  EXPECT_TRUE(last_event().audit);
}

TEST_F(ProxyFairnessTest, NestedWorkloadsLeaveTheirParentHalfOfItsBounds) {
  PolicyImage parent = image_of({"a.example", "*.wild.example"}), child = parent;
  parent.bounds = {.in_flight = 10};
  const Asker nested = testing::asker_of({{7, child}, {8, parent}});
  for (int i = 0; i < 8; ++i) put(nested, "a.example");
  EXPECT_EQ(clients.replies.size(), 3u);
  EXPECT_EQ(last_event().cgroup_id, 8u);
  const Asker own = testing::asker_of({{8, parent}});
  for (int i = 0; i < 5; ++i) put(own, "a.example");
  EXPECT_EQ(clients.replies.size(), 3u);
}

TEST_F(ProxyFairnessTest, ClientsThatComeAndGoAskNoMoreThanOthers) {
  const Asker asker = bounded(7, {.in_flight = 4, .per_second = 1000, .fresh_per_second = 1000});
  for (std::uint64_t place = 1; place <= 50; ++place) {
    ask(asker, nth(static_cast<int>(place)), {.place = place});
    core.forget_place(place);
  }
  EXPECT_EQ(upstream.asked.size(), 4u);
}

TEST_F(ProxyFairnessTest, AWorkloadKeepsNoMoreQuestionsThanItsBytesHold) {
  ProxyCore small(upstream, sink, clients, {.workload_bytes = 2000});
  const Asker asker = bounded(7, kWide);
  for (int i = 0; i < 100; ++i) {
    const Bytes message = build_question({.id = 1, .name = testing::name_of(nth(i)), .type = kTypeA});
    small.on_question({{1, 1}, asker, resolver(), false, 0, 0, message}, now);
  }
  EXPECT_EQ(last_event().reason, NW_REASON_QUERIES_IN_FLIGHT);
  EXPECT_LT(small.figures().waiting, 20u);
  EXPECT_GT(small.figures().waiting, 2u);
}

class ProxyFlightsTest : public ProxyFairnessTest {
 protected:
  ProxyFlightsTest() : ProxyFairnessTest({.flights = 16, .workload_bytes = 64u << 20}) {}
};

TEST_F(ProxyFlightsTest, LeaveRoomForWorkloadsThatHaveNone) {
  const Asker hog = bounded(7, kWide), neighbour = bounded(8, kWide);
  for (int i = 0; i < 100; ++i) put(hog, nth(i));
  EXPECT_FALSE(core.run_turn(now)) << "nothing more can be asked now";
  EXPECT_EQ(upstream.asked.size(), 8u);
  ask(neighbour, "a.example");
  EXPECT_EQ(upstream.asked.size(), 9u);
  answer("n0.wild.example");
  answer("n1.wild.example");
  core.run_turn(now);
  EXPECT_EQ(upstream.asked.size(), 9u) << "half of all, and the one of its neighbour";
  while (!upstream.asked.empty()) {
    upstream.fail(upstream.asked.front().question().name.text());
    core.run_turn(now);
    ASSERT_LE(upstream.asked.size(), 16u);
  }
  EXPECT_EQ(clients.replies.size(), 101u);
}

TEST_F(ProxyFairnessTest, FreshNamesForHoursLeaveMemoryAsItIs) {
  ProxyCore core_of_hours(upstream, sink, clients, {.cache_bytes = 256 << 10});
  const Asker asker = bounded(7, kWide);
  const auto ask_thousand = [&](int from) {
    for (int i = from; i < from + 1000; ++i) {
      const Bytes message = build_question({.id = 1, .name = testing::name_of(nth(i)), .type = kTypeA});
      core_of_hours.on_question({{1, 1}, asker, resolver(), false, 0, 0, message}, now);
      core_of_hours.run_turn(now);
      const std::string name = nth(i);
      upstream.answer(name, AnswerBuilder(name).a(name, 3600, "192.0.2.1").build());
    }
    pass(seconds(1));
    core_of_hours.tick(now);
    clients.replies.clear();
    sink.taught.clear();
  };
  for (int second = 0; second < 20; ++second) ask_thousand(second * 1000);
  EXPECT_LE(core_of_hours.figures().cached_bytes, 256u << 10);
  EXPECT_GT(core_of_hours.figures().cached_bytes, 200u << 10);
  EXPECT_EQ(core_of_hours.figures().answered, 20000u);
  EXPECT_EQ(core_of_hours.figures_by_workload().size(), 1u);
}

}  // namespace
}  // namespace namewall::agent
