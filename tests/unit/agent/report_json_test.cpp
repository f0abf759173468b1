#include "agent/report_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/agent/event_builder.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

TEST(ReportJson, TimesAreRfc3339InUtc) {
  EXPECT_EQ(rfc3339_utc(Nanoseconds(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(rfc3339_utc(std::chrono::seconds(1795269731) + Nanoseconds(1'042'999)), "2026-11-21T14:02:11.001042Z");
}

TEST(ReportJson, AnEventHasEveryFieldInItsPlace) {
  Event event = refused_lookup("github.com", 28);
  event.time = BootTime{std::chrono::seconds(10)};
  event.workload_id = 7;
  event.policy_generation = 2;
  event.left_out = 3;
  EXPECT_EQ(event_to_json(event, "run-4121", std::chrono::seconds(90), false),
            R"({"time":"1970-01-01T00:01:40.000000Z","boot_ns":10000000000,"workload":"run-4121","workload_id":7,)"
            R"("generation":2,"hook":"lookup","reason":"name_not_allowed","audit":false,"protocol":"udp",)"
            R"("address":"127.0.0.53","port":53,"name":"github.com","question_type":28,"expired_for_ns":null,)"
            R"("process":{"pid":4188,"uid":1000,"command":"npm"},"permit":"https://github.com","left_out":3})");
}

TEST(ReportJson, WhatIsUnknownIsNull) {
  Event event = refused_connect(kExample4, 443);
  event.pid = 0;
  event.reason = NW_REASON_DENY_RULE;
  const Json json = Json::parse(event_to_json(event, "w", {}, false));
  EXPECT_TRUE(json["process"].is_null());
  EXPECT_TRUE(json["name"].is_null());
  EXPECT_TRUE(json["permit"].is_null());
  EXPECT_TRUE(json["question_type"].is_null());
}

TEST(ReportJson, AQuicAttemptHasAReasonOfItsOwn) {
  EXPECT_EQ(Json::parse(event_to_json(refused_connect(kExample4, 443, "a.example"), "w", {}, true))["reason"], "quic");
}

TEST(ReportJson, HostileStringsBecomePrintableAscii) {
  Event event = refused_lookup("a\"\x1b\n\xff.example");
  event.command = "\xc3(\x07";
  const std::string line = event_to_json(event, "w\x1b", {}, false);
  for (const char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
  EXPECT_EQ(Json::parse(line)["name"], "a\"\\x1b\\x0a\\xff.example");
}

TEST(ReportJson, TheSummaryListsWhatWasReachedRefusedAndLost) {
  RunSummary summary;
  summary.workload = "run-4121";
  summary.exit_code = 1;
  summary.reached = {{"registry.npmjs.org", PortSet({{Protocol::kTcp, Port{443}, Port{443}}}), 38}};
  summary.granted = {{"registry.npmjs.org", kExample4, summary.reached[0].ports, std::chrono::milliseconds(1500), 38}};
  summary.losses.by_ring = 4;
  RefusalTally tally;
  for (int i = 0; i < 6; ++i) tally.add(refused_lookup("github.com"), false);
  const Json json = Json::parse(summary_to_json(summary, tally));
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["mode"], "enforce");
  EXPECT_EQ(json["reached"].dump(), R"([{"name":"registry.npmjs.org","ports":"tcp/443","connects":38}])");
  EXPECT_EQ(json["grants"][0]["name"], "registry.npmjs.org");
  EXPECT_EQ(json["grants"][0]["address"], kExample4.to_string());
  EXPECT_EQ(json["grants"][0]["ports"], "tcp/443");
  EXPECT_EQ(json["grants"][0]["left_ms"], 1500);
  EXPECT_EQ(json["refused_targets"], 1);
  EXPECT_EQ(json["refused_total"], 6);
  EXPECT_EQ(json["refused"][0]["name"], "github.com");
  EXPECT_EQ(json["refused"][0]["count"], 6);
  EXPECT_EQ(json["refused"][0]["permit"], "https://github.com");
  EXPECT_EQ(json["events_lost"]["by_ring"], 4);
  EXPECT_TRUE(json["saved_to"].is_null());
}

}  // namespace
}  // namespace namewall::agent
