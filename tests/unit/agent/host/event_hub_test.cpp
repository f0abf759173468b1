#include "agent/host/event_hub.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "policy/policy_loader.h"
#include "tests/unit/agent/event_builder.h"

namespace namewall::agent {
namespace {

KeptEvent refusal_of(const std::string& workload, const std::string& name, Nanoseconds utc = {}) {
  KeptEvent kept;
  kept.workload = workload;
  kept.event = refused_lookup(name);
  kept.utc = utc;
  return kept;
}

HeldPolicyPtr held(const std::string& text) {
  const auto loaded = load_policy(text, Format::kToml, "builder.toml");
  EXPECT_TRUE(loaded.ok());
  auto version = std::make_shared<PolicyVersion>();
  version->policy = loaded.value;
  auto policy = std::make_shared<HeldPolicy>();
  policy->version = std::move(version);
  policy->host = std::make_shared<HostVersion>();
  return policy;
}

std::vector<std::string> names_of(const std::vector<EventView>& views) {
  std::vector<std::string> names;
  for (const EventView& view : views) names.push_back(view.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(EventHub, SequencesGrowFromOne) {
  auto hub = EventHub::open();
  ASSERT_TRUE(hub);
  EXPECT_EQ(hub->newest(), 0u);
  hub->add(refusal_of("a", "x.example"));
  hub->add(refusal_of("a", "y.example"));
  const auto views = hub->find({}, 10, {});
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].sequence, 1u);
  EXPECT_EQ(views[1].sequence, 2u);
  EXPECT_EQ(hub->newest(), 2u);
}

TEST(EventHub, FiltersByWorkloadReasonAndSequence) {
  auto hub = EventHub::open();
  ASSERT_TRUE(hub);
  hub->add(refusal_of("a", "1.example"));
  hub->add(refusal_of("b", "2.example"));
  hub->add(refusal_of("a", "3.example"));
  hub->add_notice("a", "damage", "a pin was deleted", {});
  EventFilter filter;
  filter.workload = "a";
  filter.reason = "name_not_allowed";
  EXPECT_EQ(names_of(hub->find(filter, 10, {})), (Names{"1.example", "3.example"}));
  filter.since_sequence = 1;
  EXPECT_EQ(names_of(hub->find(filter, 10, {})), (Names{"3.example"}));
  filter.reason = "damage";
  ASSERT_EQ(hub->find(filter, 10, {}).size(), 1u);
  EXPECT_EQ(hub->find(filter, 10, {})[0].kind, "notice");
}

TEST(EventHub, AFilterAndItsViewAgree) {
  auto hub = EventHub::open();
  ASSERT_TRUE(hub);
  KeptEvent kept = refusal_of("a", "1.example");
  kept.sequence = 5;
  for (const std::string workload : {"", "a", "b"}) {
    for (const std::string reason : {"", "name_not_allowed", "port"}) {
      EventFilter filter;
      filter.workload = workload;
      filter.reason = reason;
      const EventView view = view_of(kept);
      const bool expected =
          (workload.empty() || workload == view.workload) && (reason.empty() || reason == view.reason);
      EXPECT_EQ(matches(filter, kept), expected);
    }
  }
}

TEST(EventHub, ReplaysWhatIsNotTooOld) {
  auto hub = EventHub::open();
  ASSERT_TRUE(hub);
  hub->add(refusal_of("a", "old.example", std::chrono::seconds(100)));
  hub->add(refusal_of("a", "new.example", std::chrono::seconds(195)));
  EventFilter filter;
  filter.since_s = 10;
  EXPECT_EQ(names_of(hub->find(filter, 10, std::chrono::seconds(200))), (Names{"new.example"}));
}

TEST(EventHub, TheLimitLeavesTheNewerOnesForTheNextCall) {
  auto hub = EventHub::open();
  ASSERT_TRUE(hub);
  for (int i = 0; i < 5; ++i) hub->add(refusal_of("a", std::to_string(i) + ".example"));
  EventFilter filter;
  const auto first = hub->find(filter, 2, {});
  ASSERT_EQ(names_of(first), (Names{"0.example", "1.example"}));
  filter.since_sequence = first.back().sequence;
  EXPECT_EQ(names_of(hub->find(filter, 10, {})), (Names{"2.example", "3.example", "4.example"}));
}

TEST(EventHub, AFloodOfANeighbourLeavesAWorkloadItsRefusals) {
  auto hub = EventHub::open(16);
  ASSERT_TRUE(hub);
  hub->add(refusal_of("quiet", "quiet.example"));
  for (int i = 0; i < 1000; ++i) hub->add(refusal_of("loud", "loud.example"));
  EXPECT_EQ(hub->find({}, 10000, {}).size(), 16u);
  ASSERT_EQ(hub->refusals_of("quiet").size(), 1u);
  EXPECT_EQ(hub->refusals_of("loud").size(), kRefusalsKeptPerWorkload);
  hub->forget("quiet");
  EXPECT_TRUE(hub->refusals_of("quiet").empty());
}

TEST(EventHub, TheSignalIsReadableAfterAnEvent) {
  auto hub = EventHub::open();
  ASSERT_TRUE(hub);
  pollfd waiting{hub->signal_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  hub->add(refusal_of("a", "x.example"));
  EXPECT_EQ(::poll(&waiting, 1, 0), 1);
}

TEST(EventView, NamesTheRuleThatDecidedAndWhatWouldPermit) {
  KeptEvent kept;
  kept.workload = "builder";
  kept.policy = held("name = \"builder\"\nallow = [ \"shop.example:443\" ]\ndeny = [ \"192.0.2.7\" ]\n");
  kept.event = refused_connect(kExample4, 443);
  kept.event.reason = NW_REASON_DENY_RULE;
  const EventView denied = view_of(kept);
  EXPECT_EQ(denied.rule, "`192.0.2.7` (builder.toml:3:10)");
  EXPECT_EQ(denied.permit, "");
  EXPECT_EQ(denied.kind, "refused");
  EXPECT_FALSE(denied.retry);

  kept.event = refused_connect(kExample4, 22, "shop.example");
  const EventView port = view_of(kept);
  EXPECT_EQ(port.rule, "`shop.example:443` (builder.toml:2:11)");
  EXPECT_EQ(port.permit, "tcp://shop.example:22");
  EXPECT_EQ(port.hook, "connect");
}

TEST(EventView, WhatADenyRefusesIsNotPermittedByAnAllow) {
  KeptEvent kept;
  kept.policy = held(
      "name = \"builder\"\nallow = [ \"**.shop.example:22,443\" ]\ndeny = [ \"a.shop.example\", "
      "\"tcp://b.shop.example:22\" ]\n");
  kept.event = refused_connect(kExample4, 53, "a.shop.example");
  kept.event.hook = Hook::kQuestion;
  kept.event.reason = NW_REASON_NAME_NOT_ALLOWED;
  const EventView name = view_of(kept);
  EXPECT_EQ(name.rule, "`a.shop.example` (builder.toml:3:10)");
  EXPECT_EQ(name.sentence, "a deny rule names it");
  EXPECT_EQ(name.permit, "");
  kept.event = refused_connect(kExample4, 22, "b.shop.example");
  const EventView port = view_of(kept);
  EXPECT_EQ(port.sentence, "a deny rule names it");
  EXPECT_EQ(port.permit, "");
  kept.event = refused_connect(kExample4, 80, "b.shop.example");
  EXPECT_EQ(view_of(kept).permit, "tcp://b.shop.example:80");
}

TEST(EventView, AnExpiredLookupMayBeTriedAgain) {
  KeptEvent kept;
  kept.event = refused_connect(kExample4, 443, "shop.example");
  kept.event.reason = NW_REASON_EXPIRED;
  EXPECT_TRUE(view_of(kept).retry);
}

TEST(EventView, TimesHaveMilliseconds) {
  EXPECT_EQ(rfc3339_milliseconds(std::chrono::milliseconds(1'500)), "1970-01-01T00:00:01.500Z");
}

}  // namespace
}  // namespace namewall::agent
