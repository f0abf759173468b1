#include <gmock/gmock.h>

#include "agent/client/event_text.h"
#include "agent/client/list_text.h"
#include "agent/client/outcome_text.h"
#include "agent/client/status_text.h"
#include "agent/client/workload_text.h"

namespace namewall::agent {
namespace {

using testing::HasSubstr;
using testing::Not;

const Screen kPlain;

StatusView healthy() {
  StatusView status;
  status.state = "enforcing";
  status.workloads = 2;
  status.workloads_by_state = {{"enforcing", 1}, {"audit", 1}};
  status.oldest_proof_s = 12;
  return status;
}

TEST(StatusText, SaysHowLongAgoTheOldestProofWas) {
  EXPECT_THAT(status_text(healthy(), kPlain), HasSubstr("12 s ago (the oldest of all workloads)"));
  StatusView status = healthy();
  status.oldest_proof_s = -1;
  EXPECT_THAT(status_text(status, kPlain), HasSubstr("not yet"));
}

TEST(StatusText, AuditAndJudgingAreAsTheyShouldBeAndTheRestIsNot) {
  EXPECT_TRUE(is_all_enforcing(healthy()));
  for (const char* state : {"partial", "failed"}) {
    StatusView status = healthy();
    status.workloads_by_state[state] = 1;
    EXPECT_FALSE(is_all_enforcing(status)) << state;
  }
  StatusView failing = healthy();
  failing.state = "failing";
  EXPECT_FALSE(is_all_enforcing(failing));
  StatusView unknown = healthy();
  unknown.state = "";
  EXPECT_FALSE(is_all_enforcing(unknown));
}

TEST(StatusText, ABrokenPolicyIsAnErrorAndOneThatKeepsItsOldVersionOnlySaysSo) {
  StatusView status = healthy();
  status.policies = {{"/etc/a.toml", "a", "kept", "a.toml:3:1: error: no", "", 7200, 1}};
  EXPECT_TRUE(is_all_enforcing(status));
  EXPECT_THAT(status_text(status, kPlain), HasSubstr("a.toml:3:1: error: no"));
  EXPECT_THAT(status_text(status, kPlain), HasSubstr("2 h"));
  status.policies[0].state = "broken";
  EXPECT_FALSE(is_all_enforcing(status));
}

TEST(StatusText, TellsBoundsAndUnarmedMoments) {
  StatusView status = healthy();
  status.bounds = {{"grants of builder:job-3", 900, 1024}};
  status.unarmed_ms_last = 0.4;
  status.unarmed_ms_max = 1.5;
  const std::string text = status_text(status, kPlain);
  EXPECT_THAT(text, HasSubstr("grants of builder:job-3   900   1024"));
  EXPECT_THAT(text, HasSubstr("0.4 ms"));
  EXPECT_THAT(text, HasSubstr("1.5 ms"));
}

TEST(ListText, GroupsWorkloadsByThePolicyThatTheyHave) {
  WorkloadView one, two, three;
  one.name = "b:1", one.policy = "b", one.policy_sha256 = "x";
  two.name = "b:2", two.policy = "b", two.policy_sha256 = "x";
  three.name = "b:3", three.policy = "b", three.policy_sha256 = "y";
  const auto groups = group_by_policy({one, two, three});
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_THAT(groups[0].workloads, testing::ElementsAre("b:1", "b:2"));
}

TEST(ListText, MarksDeadRulesWithWhatDecides) {
  WorkloadDetail detail;
  detail.rules = {{"https://a.example", "allow", "b.toml:4:12", true, "deny a.example"}};
  EXPECT_THAT(rules_text({"b", {"b:1"}}, detail, kPlain), HasSubstr("b.toml:4:12  dead: deny a.example decides"));
}

TEST(WorkloadText, TellsWhoElseLivesOnAnAddress) {
  WorkloadDetail detail;
  detail.grants = {{"a.example", "203.0.113.9", "tcp:443", "live", 275, 38, {"b.example", "c.example"}}};
  EXPECT_THAT(workload_text(detail, kPlain), HasSubstr("4 min        38  b.example, c.example"));
}

TEST(WorkloadText, ARememberedGrantTellsItsReason) {
  WorkloadDetail detail;
  detail.grants = {{"a.example", "203.0.113.9", "tcp:443", "remembered: not_allowed_now", 0, 1, {}}};
  EXPECT_THAT(workload_text(detail, kPlain), HasSubstr("remembered: not_allowed_now"));
}

EventView hostile() {
  EventView event;
  event.time = "2026-01-31T12:00:01.123Z";
  event.kind = "refused";
  event.workload = "w";
  event.name = "evil\x1b[2J.example\nroot";
  event.command = "\x07sh";
  event.pid = 7;
  event.address = "2001:db8::1";
  event.port = 443;
  event.sentence = "no rule names it";
  return event;
}

TEST(EventText, EscapesWhatAWorkloadChose) {
  const std::string text = event_text(hostile(), kPlain);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\x07")));
  EXPECT_THAT(text, HasSubstr("\\x1b"));
}

TEST(EventText, PutsAnIpv6AddressWithAPortInBrackets) {
  EventView event = hostile();
  event.name = "a.example";
  EXPECT_EQ(target_of(event), "[2001:db8::1]:443 (a.example)");
  event.address = "";
  EXPECT_EQ(target_of(event), "a.example:443");
}

TEST(EventText, SaysWhatWouldPermitItAndHowManyWereLeftOut) {
  EventView event = hostile();
  event.permit = "https://a.example";
  event.left_out = 3;
  const std::string text = event_text(event, kPlain);
  EXPECT_THAT(text, HasSubstr("to permit it: allow `https://a.example`"));
  EXPECT_THAT(text, HasSubstr("3 events of w before this one were left out"));
}

TEST(EventText, ColoursTheKindAlone) {
  EXPECT_THAT(event_text(hostile(), {80, true, true}), HasSubstr("w \x1b[1;31m refused \x1b[0m"));
}

TEST(OutcomeText, AReloadInPartNamesEachBrokenFile) {
  ReloadView reload;
  reload.errors = {"a.toml:1:2: error: no"};
  EXPECT_THAT(reload_text(reload, kPlain), HasSubstr("reloaded in part"));
  EXPECT_THAT(reload_text(reload, kPlain), HasSubstr("a.toml:1:2"));
}

TEST(OutcomeText, TellsWhatIsNoLongerHeld) {
  ChangeView change;
  EXPECT_EQ(lifted_text(change, kPlain), "Nothing was armed.\n");
  change.lifted = {"builder (/ci.slice/b)"};
  EXPECT_THAT(lifted_text(change, kPlain), HasSubstr("builder (/ci.slice/b)"));
}

}  // namespace
}  // namespace namewall::agent
