#include "agent/report_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/event_builder.h"

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const Rule kRule = {Endpoint{AnyHost{}, PortSet::all(), false, "*://*:*"}, Origin{}};

RunStart example_start() {
  RunStart start;
  start.workload = "run-4121";
  start.uid = 1000;
  start.policy.allow.assign(1, kRule);
  start.image.resolvers = {{Address::v4({127, 0, 0, 53}), Port{53}}};
  return start;
}

TEST(ReportText, StartLineSaysWhatIsEnforced) {
  EXPECT_EQ(start_line(example_start()),
            "namewall: enforcing run-4121 as uid 1000: 1 rule, dns in kernel, resolver 127.0.0.53, loopback own");
}

TEST(ReportText, StartLineSaysThatTheProxyLearns) {
  RunStart start = example_start();
  start.image.learn = Learn::kProxy;
  EXPECT_EQ(start_line(start),
            "namewall: enforcing run-4121 as uid 1000: 1 rule, dns by proxy, resolver 127.0.0.53, loopback own");
}

TEST(ReportText, StartLineSaysAuditResolversAndLoopback) {
  RunStart start = example_start();
  start.image.mode = Mode::kAudit;
  start.policy.deny.assign(2, kRule);
  start.image.resolvers.push_back({kExample6, Port{5353}});
  start.image.loopback = Loopback::kNone;
  EXPECT_EQ(start_line(start),
            "namewall: auditing run-4121 as uid 1000: 3 rules, dns in kernel, "
            "resolvers 127.0.0.53 [2001:db8::1]:5353, loopback none");
}

TEST(ReportText, RefusedLookupNamesTheAllowThatPermitsIt) {
  EXPECT_EQ(refusal_line(refused_lookup("github.com"), {}),
            "namewall: refused  github.com  lookup  npm(4188)  no rule names it     --allow https://github.com");
}

TEST(ReportText, RefusedAddressNamesThePort) {
  const std::string line = refusal_line(refused_connect(kExample4, 8443), {});
  EXPECT_EQ(line,
            "namewall: refused  192.0.2.7:8443/tcp  connect  curl(12)  no rule names this address and no lookup gave it"
            "  --allow tcp://192.0.2.7:8443");
}

TEST(ReportText, RefusedAddressWithAKnownNameShowsBoth) {
  EXPECT_EQ(refusal_line(refused_connect(kExample4, 22, "github.com"), {}),
            "namewall: refused  github.com:22/tcp (192.0.2.7)  connect  curl(12)  " +
                std::string(sentence_of(NW_REASON_PORT)) + "  --allow tcp://github.com:22");
}

TEST(ReportText, Ipv6AddressesStandInBrackets) {
  EXPECT_EQ(target_of(refused_connect(kExample6, 443)), "[2001:db8::1]:443/tcp");
}

TEST(ReportText, RulesFromAFileAreToBeAddedThere) {
  EXPECT_THAT(refusal_line(refused_lookup("nodejs.org"), {.policy_source = "ci.toml"}),
              HasSubstr("  ci.toml: add \"https://nodejs.org\""));
}

TEST(ReportText, APermitThatAShellWouldTakeApartIsQuoted) {
  Event event = refused_connect(kExample4, 443, "nexus.corp.example");
  event.reason = NW_REASON_PRIVATE_ANSWER;
  EXPECT_THAT(refusal_line(event, {}), HasSubstr("  --allow 'https://nexus.corp.example?private'"));
}

TEST(ReportText, AuditSaysWouldRefuseAndAnswersAreWithheld) {
  Event event = refused_lookup("github.com");
  event.audit = true;
  EXPECT_THAT(refusal_line(event, {}), HasSubstr("namewall: would refuse  github.com"));
  event.audit = false;
  event.hook = Hook::kAnswer;
  event.reason = NW_REASON_ANSWER_TRUNCATED;
  EXPECT_EQ(refusal_line(event, {}),
            "namewall: delivered  github.com  answer  npm(4188)  a truncated answer teaches nothing");
}

TEST(ReportText, AnExpiredGrantSaysByHowMuch) {
  Event event = refused_connect(kExample4, 443, "example.com");
  event.reason = NW_REASON_EXPIRED;
  event.expired_for_ns = 11'200'000'000;
  EXPECT_THAT(refusal_line(event, {}), HasSubstr("the lookup that gave this address is too old, by 12 s"));
}

TEST(ReportText, NothingThatAnAttackerChoseReachesTheTerminalRaw) {
  Event event = refused_lookup("a\x1b[2J\n.example");
  event.command = "\x1b]0;x\x07";
  const std::string line = refusal_line(event, {.colour = false, .columns = 0, .policy_source = "p\x1b.toml"});
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, HasSubstr("a\\x1b[2J\\x0a.example"));
  EXPECT_THAT(line, Not(HasSubstr("--allow")));  // such a name has no rule
}

TEST(ReportText, ALineWiderThanTheTerminalPutsThePermitBelow) {
  const std::string line = refusal_line(refused_lookup("github.com"), {.columns = 80});
  EXPECT_EQ(line,
            "namewall: refused  github.com  lookup  npm(4188)  no rule names it\n"
            "            --allow https://github.com");
  EXPECT_THAT(refusal_line(refused_lookup("github.com"), {.columns = 120}), Not(HasSubstr("\n")));
}

TEST(ReportText, ColourIsOnTheOneWordOnly) {
  const std::string line = refusal_line(refused_lookup("github.com"), {.colour = true});
  EXPECT_THAT(line, HasSubstr("namewall: \x1b[31mrefused\x1b[0m  github.com"));
}

TEST(ReportText, AnUnknownProcessIsADash) {
  Event event = refused_connect(kExample4, 443);
  event.pid = 0;
  EXPECT_THAT(refusal_line(event, {}), HasSubstr("  connect  -  "));
}

TEST(ReportText, RawSocketsAndPingHaveTargetsOfTheirOwn) {
  Event event = refused_connect(kExample4, 0);
  event.ip_protocol = IPPROTO_ICMP;
  EXPECT_EQ(target_of(event), "192.0.2.7/icmp");
  event.hook = Hook::kSocket;
  event.ip_protocol = IPPROTO_RAW;
  EXPECT_EQ(target_of(event), "protocol 255");
}

RunSummary example_summary() {
  RunSummary summary;
  summary.workload = "run-4121";
  summary.exit_code = 1;
  summary.reached = {{"registry.npmjs.org", PortSet({{Protocol::kTcp, Port{443}, Port{443}}}), 38}};
  summary.save_hint = "builder.toml";
  return summary;
}

TEST(ReportText, SummaryTellsWhatWasReachedAndRefused) {
  RefusalTally tally;
  for (int i = 0; i < 6; ++i) tally.add(refused_lookup("github.com"), false);
  EXPECT_EQ(summary_line(example_summary(), tally),
            "namewall: done, exit 1. reached 1 name (registry.npmjs.org:443, 38 connects), refused 1 (x6). "
            "Keep: --save builder.toml");
  EXPECT_THAT(repeat_lines(tally), IsEmpty());  // the summary's count is this one's
}

TEST(ReportText, SummaryOfAQuietRun) {
  EXPECT_EQ(summary_line(RunSummary{}, RefusalTally{}), "namewall: done, exit 0. reached no name, refused nothing.");
}

TEST(ReportText, SummaryShowsTheBusiestNamesAndQuic) {
  RunSummary summary;
  summary.audit = true;
  const PortSet two({{Protocol::kTcp, Port{22}, Port{22}}, {Protocol::kTcp, Port{443}, Port{443}}});
  for (const char* name : {"a.example", "b.example", "c.example", "d.example"})
    summary.reached.push_back({name, two, 1});
  summary.saved_to = "ci.toml";
  RefusalTally tally;
  tally.add(refused_connect(kExample4, 443, "a.example"), true);
  tally.add(refused_lookup("x.example"), false);
  EXPECT_EQ(
      summary_line(summary, tally),
      "namewall: done, exit 0. reached 4 names (a.example, 1 connect; b.example, 1 connect; c.example, 1 connect; "
      "1 more), would refuse 1, quic x1. Saved: ci.toml");
}

TEST(ReportText, RepeatsAreToldPerTargetWhenThereAreSeveral) {
  RefusalTally tally;
  for (int i = 0; i < 6; ++i) tally.add(refused_lookup("github.com"), false);
  tally.add(refused_lookup("once.example"), false);
  EXPECT_THAT(repeat_lines(tally), ElementsAre("namewall: x6  github.com  lookup  no rule names it"));
}

TEST(ReportText, RepeatsAreBounded) {
  RefusalTally tally;
  for (std::size_t i = 0; i < kMaxRepeatLines + 5; ++i) {
    for (int twice = 0; twice < 2; ++twice) tally.add(refused_lookup("n" + std::to_string(i) + ".example"), false);
  }
  const auto lines = repeat_lines(tally);
  ASSERT_EQ(lines.size(), kMaxRepeatLines + 1);
  EXPECT_EQ(lines.back(), "namewall: ... and 5 more targets, repeatedly");
}

TEST(ReportText, LossesAreOneLineOrNone) {
  EXPECT_EQ(losses_line({}), "");
  EXPECT_EQ(losses_line({.by_rate = 12, .by_sink = 3}),
            "namewall: events: 12 left out by the event rate, 3 not written to --events, which was full or slow. "
            "Counters are complete.");
}

}  // namespace
}  // namespace namewall::agent
