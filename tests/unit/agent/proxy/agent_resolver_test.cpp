#include "agent/proxy/agent_resolver.h"

#include <gtest/gtest.h>

#include "tests/unit/agent/proxy/proxy_fixture.h"

namespace namewall::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class AgentResolverTest : public ::testing::Test {
 protected:
  static Asker asker_for(const std::vector<std::string>& names, std::uint64_t cgroup_id = 7,
                         const std::function<void(PolicyImage&)>& change = {}) {
    PolicyImage image = image_of(names);
    for (const std::string& name : names) image.agent_names.push_back(testing::name_of(name));
    if (change) change(image);
    return testing::asker_of({{cgroup_id, std::move(image)}});
  }
  void keep(const std::vector<Asker>& workloads) {
    resolver.keep_fresh(workloads, now);
    resolver.run(now);
  }
  // Until `time` from now, at each of the resolver's own deadlines; what is asked meanwhile stays unanswered.
  void wait(Nanoseconds time) {
    const BootTime end = now + time;
    while (resolver.next_deadline() && *resolver.next_deadline() <= end) {
      now = *resolver.next_deadline();
      resolver.run(now);
    }
    now = end;
    resolver.set_time(now);
  }
  void answer_a(const std::string& name, std::uint32_t ttl = 60) {
    ASSERT_TRUE(upstream.answer(name, AnswerBuilder(name).a(name, ttl, "192.0.2.1").build(), kTypeA));
  }
  void answer_none(const std::string& name, std::uint16_t type = kTypeAaaa) {
    ASSERT_TRUE(upstream.answer(name, AnswerBuilder(name, type).build(), type));
  }
  // Asked questions, as types.
  std::vector<std::uint16_t> asked() const {
    std::vector<std::uint16_t> types;
    for (const auto& one : upstream.asked) types.push_back(one.question().type);
    return types;
  }

  BootTime now{seconds(1000)};
  testing::FakeUpstream upstream;
  testing::FakeSink sink;
  std::vector<Event> events;
  AgentResolver resolver{upstream, sink, [this](const Event& event) { events.push_back(event); }, {.lookups = 8}};
};

TEST_F(AgentResolverTest, AsksForBothFamiliesUnaskedAndTeachesWhatComes) {
  keep({asker_for({"a.example"})});
  EXPECT_EQ(asked(), (std::vector<std::uint16_t>{kTypeA, kTypeAaaa}));
  EXPECT_EQ(upstream.asked[0].target.resolver.address, testing::address_of("127.0.0.53"));
  answer_a("a.example");
  answer_none("a.example");
  ASSERT_EQ(sink.taught.size(), 1u);
  EXPECT_EQ(sink.taught[0].cgroup_id, 7u);
  EXPECT_EQ(sink.taught[0].lesson.grants.at(0).deadline, now + seconds(60 + 90));
  EXPECT_TRUE(events.empty());
}

TEST_F(AgentResolverTest, AsksAgainAtThreeQuartersOfTheGrantsLife) {
  keep({asker_for({"a.example"})});
  answer_a("a.example", 60);
  answer_none("a.example");
  wait(seconds(100));  // AAAA had nothing, it is asked sooner
  if (asked() == std::vector<std::uint16_t>{kTypeAaaa}) answer_none("a.example");
  EXPECT_TRUE(upstream.asked.empty());
  wait(milliseconds(12500));
  ASSERT_FALSE(upstream.asked.empty());
  EXPECT_EQ(asked().back(), kTypeA);
}

TEST_F(AgentResolverTest, AsksNoMoreOftenThanMinTtlAndOnceASecond) {
  const Asker asker = asker_for({"a.example"}, 7, [](PolicyImage& image) {
    image.min_ttl = seconds(20);
    image.grace = seconds(0);
  });
  keep({asker});
  answer_a("a.example", 0);
  answer_none("a.example");
  wait(seconds(19));
  EXPECT_TRUE(upstream.asked.empty());
  wait(seconds(2));
  EXPECT_EQ(asked(), (std::vector<std::uint16_t>{kTypeA}));
}

TEST_F(AgentResolverTest, BacksOffAfterFailuresUpToAMinuteAndTellsOfThemOnce) {
  keep({asker_for({"a.example"})});
  answer_none("a.example");
  Nanoseconds gap{}, longest{};
  for (int failure = 0; failure < 12; ++failure) {
    resolver.set_time(now);
    ASSERT_TRUE(upstream.fail("a.example", kTypeA));
    const BootTime failed = now;
    do {
      now = resolver.next_deadline().value();
      resolver.run(now);
      if (!upstream.asked.empty() && asked().front() == kTypeAaaa) answer_none("a.example");
    } while (upstream.asked.empty());
    gap = now - failed;
    EXPECT_TRUE(failure != 0 || gap <= seconds(1));
    EXPECT_GE(gap, milliseconds(900));
    longest = std::max(longest, gap);
  }
  EXPECT_LE(longest, seconds(60));
  EXPECT_GE(gap, seconds(54));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].reason, NW_REASON_AGENT_LOOKUP_FAILED);
  EXPECT_EQ(events[0].name, "a.example");
  EXPECT_EQ(events[0].cgroup_id, 7u);
  EXPECT_EQ(resolver.failing(), 1u);

  resolver.set_time(now);
  answer_a("a.example");
  EXPECT_EQ(resolver.failing(), 0u);
  EXPECT_EQ(events.size(), 1u);
  wait(seconds(113));
  ASSERT_TRUE(upstream.fail("a.example", kTypeA));
  EXPECT_EQ(events.size(), 2u) << "a new failure after a success is told";
}

TEST_F(AgentResolverTest, ANameThatDoesNotExistFailsAndAFamilyThatIsMissingDoesNot) {
  keep({asker_for({"gone.example", "a.example"})});
  for (const std::uint16_t type : {kTypeA, kTypeAaaa}) {
    upstream.answer("gone.example", AnswerBuilder("gone.example", type).rcode(3).build(), type);
  }
  answer_a("a.example");
  answer_none("a.example");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].name, "gone.example");
}

TEST_F(AgentResolverTest, WhatCouldNotBeTaughtIsAFailure) {
  sink.refuse = [](auto, auto&) { return NW_REASON_GRANTS_FULL; };
  keep({asker_for({"a.example"})});
  answer_a("a.example");
  answer_none("a.example");
  EXPECT_EQ(events.size(), 1u);
  wait(seconds(1));
  EXPECT_EQ(asked(), (std::vector<std::uint16_t>{kTypeA}));
}

TEST_F(AgentResolverTest, TeachesEveryLevelOfANestedWorkload) {
  PolicyImage inner = image_of({"a.example"}), outer = image_of({"*.example"});
  inner.agent_names = {testing::name_of("a.example")};
  keep({testing::asker_of({{7, inner}, {8, outer}})});
  answer_a("a.example");
  ASSERT_EQ(sink.taught.size(), 2u);
  EXPECT_EQ(sink.taught[1].cgroup_id, 8u);
}

TEST_F(AgentResolverTest, ANameThatALevelAboveRefusesIsNotAsked) {
  PolicyImage inner = image_of({"secret.evil.test"}), outer = image_of({"*.example"});
  inner.agent_names = {testing::name_of("secret.evil.test")};
  keep({testing::asker_of({{7, inner}, {8, outer}})});
  EXPECT_TRUE(upstream.asked.empty());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].reason, NW_REASON_AGENT_LOOKUP_FAILED);
  EXPECT_EQ(events[0].name, "secret.evil.test");
}

TEST_F(AgentResolverTest, OnlyResolversThatEveryLevelTrustsAreAsked) {
  const ResolverAddress own{testing::address_of("198.51.100.66"), Port{53}};
  PolicyImage inner = image_of({"a.example"}), outer = image_of({"*.example"});
  const ResolverAddress both = outer.resolvers.at(0);
  inner.agent_names = {testing::name_of("a.example")};
  inner.system_resolvers = 0;
  inner.resolvers = {own, both};
  keep({testing::asker_of({{7, inner}, {8, outer}})});
  ASSERT_EQ(upstream.asked.size(), 2u);
  EXPECT_EQ(upstream.asked[0].target.resolver, both);
  EXPECT_TRUE(upstream.asked[0].target.stand_ins.empty());

  upstream.asked.clear();
  inner.resolvers = {own};
  keep({});
  keep({testing::asker_of({{7, inner}, {8, outer}})});
  EXPECT_TRUE(upstream.asked.empty()) << "what it says would be taught to the level above, too";
  EXPECT_EQ(events.size(), 1u);
}

TEST_F(AgentResolverTest, ANewListAsksForWhatIsNewAlone) {
  keep({asker_for({"a.example"})});
  answer_a("a.example");
  answer_none("a.example");
  keep({asker_for({"a.example", "b.example"}), asker_for({"a.example"}, 8)});
  ASSERT_EQ(upstream.asked.size(), 4u);
  keep({asker_for({"b.example"})});
  EXPECT_EQ(upstream.asked.size(), 4u);
  EXPECT_EQ(resolver.names(), 1u);
  ASSERT_TRUE(upstream.answer("a.example", AnswerBuilder("a.example").a("a.example", 60, "192.0.2.1").build(), kTypeA));
  EXPECT_EQ(sink.taught.size(), 1u) << "nobody wants a.example any more";
  answer_a("b.example");
  EXPECT_EQ(sink.taught.size(), 2u);
}

TEST_F(AgentResolverTest, AnAnswerIsJudgedByTheListThatHoldsWhenItComes) {
  keep({asker_for({"a.example"})});
  Asker other = asker_for({"a.example"}, 7, [](PolicyImage& image) { image.grace = seconds(0); });
  keep({other});
  answer_a("a.example");
  EXPECT_EQ(sink.taught.at(0).lesson.grants.at(0).deadline, now + seconds(60));
}

TEST_F(AgentResolverTest, AsksABoundedNumberAtATime) {
  std::vector<std::string> names;
  for (int i = 0; i < 50; ++i) names.push_back("n" + std::to_string(i) + ".example");
  keep({asker_for(names)});
  EXPECT_EQ(upstream.asked.size(), 8u);
  EXPECT_EQ(resolver.next_deadline(), std::nullopt);
  std::size_t answered = 0;
  while (!upstream.asked.empty()) {
    const DnsQuestion question = upstream.asked.front().question();
    const std::string& name = question.name.text();
    upstream.answer(name, AnswerBuilder(name, question.type).build());
    ++answered;
    EXPECT_TRUE(resolver.next_deadline().has_value());
    resolver.run(now);
    EXPECT_LE(upstream.asked.size(), 8u);
  }
  EXPECT_EQ(answered, 100u);
}

}  // namespace
}  // namespace namewall::agent
