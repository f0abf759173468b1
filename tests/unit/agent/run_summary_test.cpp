#include "agent/run_summary.h"

#include <gtest/gtest.h>

#include "policy/policy_loader.h"
#include "tests/unit/agent/event_builder.h"

namespace namewall::agent {
namespace {

GrantRecord record(const std::string& name, const Address& address, PortMask ports, std::uint32_t hits) {
  return {Grant{DomainName::from_normal(name), address, kNever, ports, NW_REASON_NONE}, ports, hits, false};
}

TEST(RunSummary, ReachedNamesAddUpTheirAddressesBusiestFirst) {
  const auto policy = load_policy_arguments({"a.example", "b.example"}, {});
  const auto image = compile_policy(policy.value, HostPolicy{}, ResolvConf{});
  ASSERT_TRUE(image.has_value());
  const PortMask https = image->mask_of(Protocol::kTcp, Port{443});
  const auto reached =
      reached_names({record("a.example", kExample4, https, 1), record("b.example", kExample4, https, 2),
                     record("b.example", kExample6, https, 3), record("unused.example", kExample6, https, 0)},
                    *image);
  ASSERT_EQ(reached.size(), 2u);
  EXPECT_EQ(reached[0].name, "b.example");
  EXPECT_EQ(reached[0].connects, 5u);
  EXPECT_EQ(reached[0].ports.to_string(), "tcp/443");
  EXPECT_EQ(reached[1].name, "a.example");
}

TEST(RunSummary, GrantsHaveTheTimeThatIsLeftAndNotesAreNone) {
  const auto policy = load_policy_arguments({"a.example", "b.example"}, {});
  const auto image = compile_policy(policy.value, HostPolicy{}, ResolvConf{});
  ASSERT_TRUE(image.has_value());
  const PortMask https = image->mask_of(Protocol::kTcp, Port{443});
  auto live = record("b.example", kExample4, https, 2), over = record("a.example", kExample6, https, 0);
  auto forever = record("a.example", kExample4, https, 0), note = record("a.example", kExample6, https, 0);
  live.grant.deadline = {std::chrono::seconds(12)};
  over.grant.deadline = {std::chrono::seconds(7)};
  note.grant.note = NW_REASON_PRIVATE_ANSWER;
  const auto granted = granted_addresses({live, over, forever, note}, *image, {std::chrono::seconds(10)});
  ASSERT_EQ(granted.size(), 3u);
  EXPECT_EQ(granted[0].name, "a.example");
  EXPECT_EQ(granted[0].left, std::nullopt);
  EXPECT_EQ(granted[1].left, -std::chrono::seconds(3));
  EXPECT_EQ(granted[2].name, "b.example");
  EXPECT_EQ(granted[2].left, std::chrono::seconds(2));
  EXPECT_EQ(granted[2].ports.to_string(), "tcp/443");
  EXPECT_EQ(granted[2].connects, 2u);
}

TEST(RunSummary, LossesComeFromTheKernelsCounters) {
  RefusalTally tally;
  Event event = refused_lookup("a.example");
  event.left_out = 9;
  tally.add(event, false);
  Counters counters;
  counters.counters = {{"events_limited", 6}, {"events_lost", 3}, {"questions", 100}};
  const EventLosses losses = event_losses(counters, tally, 2);
  EXPECT_EQ(losses.by_rate, 6u);
  EXPECT_EQ(losses.by_ring, 3u);
  EXPECT_EQ(losses.by_sink, 2u);
  EXPECT_FALSE(event_losses({}, RefusalTally{}, 0).any());
  EXPECT_EQ(event_losses({}, tally, 0).by_rate, 9u);  // without the counters: what the events say
}

}  // namespace
}  // namespace namewall::agent
