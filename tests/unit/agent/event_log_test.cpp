#include "agent/host/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/host/journal_sink.h"

namespace namewall::agent {
namespace {

using testing::HasSubstr;
using testing::Not;

EventView make_refusal() {
  EventView event;
  event.kind = "refused";
  event.workload = "builder";
  event.policy = "builder";
  event.generation = 4;
  event.hook = "connect";
  event.reason = "not_looked_up";
  event.sentence = "no rule names secret.example";
  event.name = "secret.example";
  event.address = "192.0.2.7";
  event.port = 443;
  event.protocol = "tcp";
  event.pid = 4188;
  event.command = "npm";
  event.rule = "deny secret.example";
  event.permit = "https://secret.example";
  return event;
}

TEST(EntryOf, SaysWhoWasRefusedWhatAndWhatWouldPermitIt) {
  const auto entry = entry_of(make_refusal(), LogNames::kRefused);
  EXPECT_EQ(entry.message,
            "builder: refused connect secret.example (192.0.2.7, tcp port 443) by npm(4188): no rule names "
            "secret.example; rule: deny secret.example; to permit it: https://secret.example");
  EXPECT_EQ(entry.priority, Priority::kWarning);
  EXPECT_EQ(entry.fields.workload, "builder");
  EXPECT_EQ(entry.fields.reason, "not_looked_up");
  EXPECT_EQ(entry.fields.name, "secret.example");
  EXPECT_EQ(entry.fields.address, "192.0.2.7");
  EXPECT_EQ(entry.fields.generation, 4u);
}

TEST(EntryOf, NamesNothingThatWasReachedForUnderNone) {
  const auto entry = entry_of(make_refusal(), LogNames::kNone);
  const auto everything = encode_entry(entry);
  EXPECT_THAT(everything, Not(HasSubstr("secret")));
  EXPECT_THAT(everything, Not(HasSubstr("192.0.2")));
  EXPECT_EQ(entry.message, "builder: refused connect by npm(4188): no rule names this address and no lookup gave it");
  EXPECT_EQ(entry.fields.reason, "not_looked_up");
}

TEST(EntryOf, NamesAllowedLookupsOnlyUnderAll) {
  EventView event = make_refusal();
  event.kind = "allowed";
  EXPECT_THAT(encode_entry(entry_of(event, LogNames::kRefused)), Not(HasSubstr("secret")));
  const auto entry = entry_of(event, LogNames::kAll);
  EXPECT_EQ(entry.fields.name, "secret.example");
  EXPECT_EQ(entry.priority, Priority::kInfo);
}

TEST(EntryOf, SaysHowManyEventsWereLeftOutBeforeOne) {
  EventView event = make_refusal();
  event.left_out = 17;
  EXPECT_THAT(entry_of(event, LogNames::kNone).message, HasSubstr("; 17 left out before it"));
}

TEST(EntryOf, SaysOfAuditThatNothingWasRefused) {
  EventView event = make_refusal();
  event.kind = "audit";
  EXPECT_THAT(entry_of(event, LogNames::kAll).message, HasSubstr("builder: would be refused: connect secret.example"));
}

TEST(EntryOf, WritesNoticesOfTheDaemonAsTheyAre) {
  EventView event;
  event.kind = "notice";
  event.reason = "damage";
  event.sentence = "a program was detached from /ci.slice, and is attached again";
  const auto entry = entry_of(event, LogNames::kNone);
  EXPECT_EQ(entry.message, event.sentence);
  EXPECT_EQ(entry.priority, Priority::kNotice);
}

TEST(EventLog, SummarisesAFlood) {
  EventLog log(LogNames::kRefused, {.lines = 2, .window = std::chrono::seconds(10), .max_sources = 8});
  int lines = 0;
  for (int i = 0; i < 4713; ++i) lines += log.add(make_refusal(), BootTime{}) ? 1 : 0;
  EXPECT_EQ(lines, 2);
  const auto summaries = log.take_summaries({std::chrono::seconds(10)});
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].message, "builder: not_looked_up: ... 4,711 more in 10 s");
  EXPECT_EQ(summaries[0].fields.workload, "builder");
}

TEST(EventLog, CountsWhatTheKernelLeftOutInASummary) {
  EventLog log(LogNames::kRefused, {.lines = 0, .window = std::chrono::seconds(10), .max_sources = 8});
  EventView event = make_refusal();
  event.left_out = 99;
  EXPECT_FALSE(log.add(event, BootTime{}));
  EXPECT_THAT(log.finish({std::chrono::seconds(10)}).at(0).message, HasSubstr("100 more"));
}

TEST(ParseLogNames, KnowsThreeWords) {
  EXPECT_EQ(parse_log_names("all"), LogNames::kAll);
  EXPECT_EQ(parse_log_names("refused"), LogNames::kRefused);
  EXPECT_EQ(parse_log_names("none"), LogNames::kNone);
  EXPECT_FALSE(parse_log_names("None"));
}

TEST(EncodeEntry, ComesBackEscaped) {
  LogEntry entry;
  entry.priority = Priority::kNotice;
  entry.message = "line\nPRIORITY=0\x1f";
  entry.fields.name = "a\x1f\xffz";
  entry.fields.generation = 7;
  const auto decoded = decode_entry(encode_entry(entry));
  EXPECT_EQ(decoded.priority, Priority::kNotice);
  EXPECT_EQ(decoded.message, "line\\x0aPRIORITY=0\\x1f");
  EXPECT_EQ(decoded.fields.name, "a\\x1f\\xffz");
  EXPECT_EQ(decoded.fields.generation, 7u);
}

TEST(EncodeEntry, CutsWhatIsTooLong) {
  LogEntry entry;
  entry.message.assign(10 * kMaxLogText, 'x');
  EXPECT_EQ(decode_entry(encode_entry(entry)).message.size(), kMaxLogText);
}

}  // namespace
}  // namespace namewall::agent
