#include "agent/host/flood_gate.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using std::chrono::seconds;

constexpr FloodGate::Limits kLimits{.lines = 3, .window = seconds(10), .max_sources = 2};

BootTime at(int second) { return {seconds(second)}; }

int admitted(FloodGate& gate, const std::string& workload, int times, BootTime now) {
  int count = 0;
  for (int i = 0; i < times; ++i) count += gate.admit(workload, "port", now) ? 1 : 0;
  return count;
}

TEST(FloodGate, LetsTheFirstLinesOfAWindowPass) {
  FloodGate gate(kLimits);
  EXPECT_EQ(admitted(gate, "builder", 100, at(0)), 3);
  EXPECT_TRUE(gate.take_summaries(at(9)).empty());
  EXPECT_EQ(admitted(gate, "builder", 1, at(9)), 0);
}

TEST(FloodGate, CountsTheRestOnceTheWindowIsOver) {
  FloodGate gate(kLimits);
  admitted(gate, "builder", 4714, at(0));
  const auto summaries = gate.take_summaries(at(10));
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].workload, "builder");
  EXPECT_EQ(summaries[0].reason, "port");
  EXPECT_EQ(text_of(summaries[0]), "4,711 more in 10 s");
  EXPECT_TRUE(gate.take_summaries(at(11)).empty());
}

TEST(FloodGate, OpensANewWindowAlsoWhenNobodyAskedForSummaries) {
  FloodGate gate(kLimits);
  admitted(gate, "builder", 5, at(0));
  EXPECT_EQ(admitted(gate, "builder", 5, at(12)), 3);
  const auto summaries = gate.take_summaries(at(12));
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(text_of(summaries[0]), "2 more in 12 s");
}

TEST(FloodGate, SaysNothingOfSourcesThatStayedBelow) {
  FloodGate gate(kLimits);
  admitted(gate, "builder", 3, at(0));
  EXPECT_TRUE(gate.take_summaries(at(10)).empty());
}

TEST(FloodGate, KeepsOneSourceFromSilencingAnother) {
  FloodGate gate(kLimits);
  admitted(gate, "builder", 1000, at(0));
  EXPECT_EQ(admitted(gate, "runner", 2, at(0)), 2);
}

TEST(FloodGate, LetsSourcesBeyondTheBoundShareOneWindow) {
  FloodGate gate(kLimits);
  admitted(gate, "a", 1, at(0));
  admitted(gate, "b", 1, at(0));
  EXPECT_EQ(admitted(gate, "c", 2, at(0)) + admitted(gate, "d", 2, at(0)), 3);
  const auto summaries = gate.take_summaries(at(10));
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].workload + summaries[0].reason, "");
  EXPECT_EQ(summaries[0].left_out, 1u);
}

TEST(FloodGate, ForgetsSourcesThatFellSilent) {
  FloodGate gate(kLimits);
  admitted(gate, "a", 1, at(0));
  admitted(gate, "b", 1, at(0));
  gate.take_summaries(at(10));
  EXPECT_EQ(admitted(gate, "c", 2, at(10)) + admitted(gate, "d", 2, at(10)), 4);
}

TEST(FloodGate, CountsWhatALineStoodFor) {
  FloodGate gate({.lines = 0, .window = seconds(10), .max_sources = 1});
  gate.admit("builder", "port", at(0), 1000000);
  const auto summaries = gate.finish(at(1));
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(text_of(summaries[0]), "1,000,000 more in 1 s");
}

}  // namespace
}  // namespace namewall::agent
