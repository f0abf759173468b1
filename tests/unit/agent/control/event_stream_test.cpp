#include "agent/control/event_stream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "tests/unit/agent/control/served_control.h"

namespace namewall::agent {
namespace {

using State = BodySource::State;

std::vector<nlohmann::json> take_all(EventStream& stream, State end) {
  std::vector<nlohmann::json> lines;
  std::string line;
  State state = State::kMore;
  while ((state = stream.next(line)) == State::kMore) {
    lines.push_back(nlohmann::json::parse(line));
    line.clear();
  }
  EXPECT_EQ(state, end);
  return lines;
}

TEST(EventStreamTest, EndsWithThePastUnlessItFollows) {
  FakeHost host;
  host.add_events(300, "ci");
  EventStream replay(host, {}, false, 10);
  EventStream follow(host, {}, true, 10);
  host.add_events(1, "ci");
  EXPECT_EQ(take_all(replay, State::kEnd).size(), 300u);
  EXPECT_EQ(take_all(follow, State::kWait).size(), 301u);
  follow.close();
  EXPECT_TRUE(take_all(follow, State::kEnd).empty());
}

TEST(EventStreamTest, CountsWhatDoesNotFitAndTellsItInItsPlace) {
  FakeHost host;
  EventStream stream(host, {.workload = "ci", .reason = ""}, true, 10);
  take_all(stream, State::kWait);
  host.add_events(4, "web");
  EXPECT_FALSE(stream.take_new());
  host.add_events(25, "ci");
  EXPECT_TRUE(stream.take_new());
  const auto lines = take_all(stream, State::kWait);
  ASSERT_EQ(lines.size(), 11u);
  EXPECT_EQ(lines[9]["sequence"], 14);
  EXPECT_EQ(lines[10]["kind"], "notice");
  EXPECT_EQ(lines[10]["reason"], "missed");
  EXPECT_EQ(lines[10]["left_out"], 15);
  EXPECT_EQ(lines[10]["sequence"], 29);
  host.add_events(1, "ci");
  EXPECT_TRUE(stream.take_new());
  EXPECT_EQ(take_all(stream, State::kWait).size(), 1u);
}

TEST(EventStreamTest, PassesOverABurstWithoutReadingAllOfIt) {
  FakeHost host;
  EventStream stream(host, {}, true, 10);
  take_all(stream, State::kWait);
  host.add_events(50'000, "ci");
  EXPECT_TRUE(stream.take_new());
  const auto lines = take_all(stream, State::kWait);
  ASSERT_EQ(lines.size(), 11u);
  EXPECT_EQ(lines[10]["left_out"], 49'990);
}

using EventStreamOverHttpTest = ServedControl;

TEST_F(EventStreamOverHttpTest, ShowsAnEventWithinMillisecondsOfItsSignal) {
  start();
  RawClient reader(path_);
  ASSERT_TRUE(reader.send(http_request("GET", "/v1/events?follow=1")));
  ASSERT_TRUE(reader.read_until("\r\n\r\n"));
  std::vector<double> took;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    const auto before = std::chrono::steady_clock::now();
    host_.add_events(1, "ci", name);
    ASSERT_TRUE(reader.read_until(name));
    took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
  }
  std::ranges::sort(took);
  std::cout << "event to reader: median " << took[150] << " ms, p99 " << took[297] << " ms\n";
  EXPECT_LT(took[297], 50);
}

TEST_F(EventStreamOverHttpTest, LetsGoOfAReaderThatLeft) {
  ControlLimits limits;
  limits.privileged_connections = 2;
  start(limits);
  for (int i = 0; i < 20; ++i) {
    // The next reader finds room only if the one before was let go, with no event that would show its absence.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    bool served = false;
    while (!served && std::chrono::steady_clock::now() < until) {
      RawClient reader(path_);
      reader.send(http_request("GET", "/v1/events?follow=1"));
      const auto header = reader.read_until("\r\n\r\n");
      served = header && header->find(" 200 ") != std::string::npos;
    }
    ASSERT_TRUE(served) << i;
  }
}

}  // namespace
}  // namespace namewall::agent
