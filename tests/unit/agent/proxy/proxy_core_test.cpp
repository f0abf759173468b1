// Questions in, answers out: what is asked, taught and sent, in which order.
#include "agent/proxy/proxy_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/proxy/proxy_fixture.h"

namespace namewall::agent {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

const Asker kA = testing::asker_of({{7, image_of({"a.example", "b.example"})}});

TEST_F(ProxyCoreTest, RepliesOnlyAfterTheKernelAcknowledged) {
  ask(kA, "a.example");
  std::vector<std::string> order;
  sink.on_teach = [&] { order.push_back("taught"); };
  clients.on_reply = [&] { order.push_back("replied"); };
  ASSERT_TRUE(answer("a.example"));
  EXPECT_EQ(order, (std::vector<std::string>{"taught", "replied"}));
  ASSERT_EQ(sink.taught.size(), 1u);
  EXPECT_EQ(sink.taught[0].cgroup_id, 7u);
  EXPECT_EQ(sink.taught[0].lesson.name.text(), "a.example");
  ASSERT_EQ(sink.taught[0].lesson.grants.size(), 1u);
  EXPECT_EQ(sink.taught[0].lesson.grants[0].deadline, now + seconds(60 + 90));
  EXPECT_EQ(last_reply().id(), 0x4711);
  EXPECT_EQ(last_reply().answers(), 1u);
  EXPECT_EQ(core.figures().answered, 1u);
}

TEST_F(ProxyCoreTest, AsksTheResolverThatTheQuestionWasFor) {
  UpstreamTarget inside{42, {testing::address_of("127.0.0.11"), Port{53}}, {{testing::address_of("::1"), Port{5353}}}};
  ask(kA, "a.example", {.target = inside});
  ASSERT_EQ(upstream.asked.size(), 1u);
  EXPECT_EQ(upstream.asked[0].target, inside);
}

TEST_F(ProxyCoreTest, WithholdsAnAnswerThatTheKernelDidNotTake) {
  sink.refuse = [](auto, auto&) { return NW_REASON_GRANTS_FULL; };
  ask(kA, "a.example", {.size = 1232});
  answer("a.example");
  ASSERT_EQ(clients.replies.size(), 1u);
  EXPECT_EQ(last_reply().rcode(), 2u);
  EXPECT_EQ(last_reply().extended_error(), 14u);
  EXPECT_THAT(last_reply().text(), HasSubstr("the workload holds as many addresses as it may"));
  EXPECT_EQ(last_event().reason, NW_REASON_GRANTS_FULL);
  EXPECT_EQ(last_event().hook, Hook::kAnswer);
  EXPECT_EQ(last_event().name, "a.example");
  EXPECT_EQ(last_event().cgroup_id, 7u);
  EXPECT_EQ(core.figures().withheld, 1u);
  EXPECT_EQ(core.figures().answered, 0u);
}

TEST_F(ProxyCoreTest, DeliversWhatTeachesNothingByPolicyThoughTheKernelTakesNoNote) {
  sink.refuse = [](auto, auto&) { return NW_REASON_TEACHING_FAILED; };
  ask(kA, "a.example");
  answer("a.example", "10.0.0.1");
  EXPECT_EQ(last_reply().rcode(), 0u);
  EXPECT_EQ(last_reply().answers(), 1u);
}

TEST_F(ProxyCoreTest, RefusesANameThatNoRuleAllowsAndAsksNobody) {
  ask(kA, "evil.example", {.size = 1232});
  EXPECT_TRUE(upstream.asked.empty());
  EXPECT_EQ(last_reply().rcode(), 3u);
  EXPECT_EQ(last_reply().extended_error(), 15u);
  EXPECT_THAT(last_reply().text(), HasSubstr("evil.example"));
  EXPECT_EQ(last_event().reason, NW_REASON_NAME_NOT_ALLOWED);
  EXPECT_EQ(last_event().hook, Hook::kQuestion);
  EXPECT_EQ(last_event().pid, 77u);
  EXPECT_EQ(core.figures().refused, 1u);
}

TEST_F(ProxyCoreTest, RefusesAsThePolicyOfTheFirstLevelSaysThatRefuses) {
  const Asker nested = testing::asker_of(
      {{7, image_where({"a.example", "b.example"}, [](auto& image) { image.refuse_with = RefuseWith::kNodata; })},
       {8, image_where({"a.example"}, [](auto& image) { image.refuse_with = RefuseWith::kRefused; })}});
  ask(nested, "b.example", {.size = 1232});
  EXPECT_EQ(last_reply().rcode(), 5u);
  EXPECT_EQ(last_reply().extended_error(), 18u);
  EXPECT_EQ(last_event().cgroup_id, 8u);
  ask(nested, "c.example", {.size = 1232});  // both refuse: the innermost decides
  EXPECT_EQ(last_reply().rcode(), 0u);
  EXPECT_EQ(last_reply().extended_error(), 17u);
  EXPECT_EQ(last_event().cgroup_id, 7u);
  EXPECT_EQ(clients.events.size(), 2u);  // later levels stay silent
}

TEST_F(ProxyCoreTest, TeachesEveryLevelTheOutermostLast) {
  const Asker nested = testing::asker_of({{7, image_of({"a.example"})}, {8, image_of({"*.example"})}});
  ask(nested, "a.example");
  answer("a.example");
  ASSERT_EQ(sink.taught.size(), 2u);
  EXPECT_EQ(sink.taught[0].cgroup_id, 7u);
  EXPECT_EQ(sink.taught[1].cgroup_id, 8u);
  EXPECT_EQ(core.figures().taught, 2u);
  for (const auto& one : sink.taught)
    EXPECT_EQ(one.lesson.image_hash, testing::image_hash_of(one.cgroup_id)) << "of the policy that judged the answer";
}

TEST_F(ProxyCoreTest, WithholdsWhereAnOuterLevelCouldNotBeTaught) {
  sink.refuse = [](std::uint64_t cgroup_id, auto&) { return cgroup_id == 8 ? NW_REASON_NAMES_FULL : NW_REASON_NONE; };
  ask(testing::asker_of({{7, image_of({"a.example"})}, {8, image_of({"a.example"})}}), "a.example");
  answer("a.example");
  EXPECT_EQ(last_reply().rcode(), 2u);
  EXPECT_EQ(last_event().cgroup_id, 8u);
}

TEST_F(ProxyCoreTest, PassesAndReportsInAuditMode) {
  const auto audit = [](Policy& policy) { policy.mode = Mode::kAudit; };
  const Asker asker = testing::asker_of({{7, image_of({"a.example"}, {}, audit)}});
  ask(asker, "unlisted.example");
  ASSERT_EQ(clients.events.size(), 1u);
  EXPECT_TRUE(last_event().audit);
  EXPECT_EQ(last_event().reason, NW_REASON_NAME_NOT_ALLOWED);
  sink.refuse = [](auto, auto&) { return NW_REASON_GRANTS_FULL; };
  answer("unlisted.example");
  EXPECT_EQ(last_reply().answers(), 1u);
  EXPECT_TRUE(last_event().audit);
  EXPECT_EQ(last_event().reason, NW_REASON_GRANTS_FULL);
}

TEST_F(ProxyCoreTest, SaysServfailWhereNoResolverAnswers) {
  ask(kA, "a.example", {.size = 1232});
  ASSERT_TRUE(upstream.fail("a.example"));
  EXPECT_EQ(last_reply().rcode(), 2u);
  EXPECT_EQ(last_reply().extended_error(), 23u);
  EXPECT_EQ(last_event().reason, NW_REASON_UPSTREAM_FAILED);
  EXPECT_EQ(core.figures().failed_upstream, 1u);
}

TEST_F(ProxyCoreTest, WithholdsAnAnswerToAnotherQuestion) {
  ask(kA, "a.example");
  answer(AnswerBuilder("b.example").a("b.example", 60, "192.0.2.1"), "a.example");
  EXPECT_EQ(last_reply().rcode(), 2u);
  EXPECT_EQ(question_of(last_reply()).text(), "a.example");
  EXPECT_TRUE(sink.taught.empty());
  EXPECT_EQ(last_event().reason, NW_REASON_ANSWER_MALFORMED);
  ask(kA, "a.example");
  EXPECT_EQ(upstream.asked.size(), 1u) << "it must not be in the cache";
}

TEST_F(ProxyCoreTest, AnswersMalformedQuestionsAtOnceAndNothingThatIsNone) {
  Bytes message = build_question({.id = 9, .name = testing::name_of("a.example"), .type = kTypeA});
  message.push_back(0);
  put(kA, message, {});
  EXPECT_EQ(last_reply().rcode(), 1u);
  EXPECT_EQ(last_reply().id(), 9u);
  EXPECT_EQ(last_event().reason, NW_REASON_QUESTION_MALFORMED);
  put(kA, Bytes{1, 2, 3}, {});
  put(kA, AnswerBuilder("a.example").build(), {});
  EXPECT_EQ(clients.replies.size(), 1u);
  EXPECT_EQ(core.figures().malformed, 3u);
}

TEST_F(ProxyCoreTest, AsksAnIdenticalQuestionOnceAndAnswersEachInItsOwnSpelling) {
  ask(kA, "a.example", {.id = 1});
  Bytes shouted = build_question({.id = 2, .name = testing::name_of("a.example"), .type = kTypeA});
  shouted[13] = 'A';
  put(kA, shouted, {});
  core.run_turn(now);
  ASSERT_EQ(upstream.asked.size(), 1u);
  EXPECT_EQ(core.figures().joined, 1u);
  answer("a.example");
  ASSERT_EQ(clients.replies.size(), 2u);
  EXPECT_EQ(clients.replies[0].id(), 1u);
  EXPECT_EQ(clients.replies[0].message[13], 'a');
  EXPECT_EQ(clients.replies[1].id(), 2u);
  EXPECT_EQ(clients.replies[1].message[13], 'A');
  EXPECT_NE(clients.replies[0].client, clients.replies[1].client);
}

TEST_F(ProxyCoreTest, TeachesEachAskerOfOneAnswerByItsOwnPolicy) {
  const Asker narrow = testing::asker_of({{9, image_of({"a.example:22"})}});
  const Asker stranger = testing::asker_of({{10, image_of({"other.example"})}});
  ask(kA, "a.example");
  ask(narrow, "a.example");
  ask(stranger, "a.example");
  answer("a.example");
  ASSERT_EQ(sink.taught.size(), 2u);
  EXPECT_EQ(sink.taught[0].cgroup_id, 7u);
  EXPECT_EQ(sink.taught[1].cgroup_id, 9u);
  EXPECT_EQ(clients.replies.size(), 3u);
}

TEST_F(ProxyCoreTest, OneAskerThatCannotBeTaughtKeepsTheAnswerFromNobodyElse) {
  sink.refuse = [](std::uint64_t cgroup_id, auto&) { return cgroup_id == 7 ? NW_REASON_GRANTS_FULL : NW_REASON_NONE; };
  ask(kA, "a.example", {.id = 1});
  ask(testing::asker_of({{9, image_of({"a.example"})}}), "a.example", {.id = 2});
  answer("a.example");
  EXPECT_EQ(clients.replies[0].rcode(), 2u);
  EXPECT_EQ(clients.replies[1].rcode(), 0u);
}

TEST_F(ProxyCoreTest, AsksQuestionsApartThatDifferInWhatAnswersDependOn) {
  ask(kA, "a.example");
  ask(kA, "a.example", {.type = kTypeAaaa});
  ask(kA, "a.example", {.size = 1232});
  ask(kA, "a.example", {.target = resolver(42)});
  Bytes secure = build_question({.id = 1, .name = testing::name_of("a.example"), .type = kTypeA});
  put(kA, testing::with_opt(secure, 1232, true), {});
  secure[3] = 0x10;  // CD
  put(kA, secure, {});
  secure[2] = secure[3] = 0;  // no RD
  put(kA, secure, {});
  core.run_turn(now);
  EXPECT_EQ(upstream.asked.size(), 7u);
  EXPECT_EQ(core.figures().joined, 0u);
}

TEST_F(ProxyCoreTest, TruncatesByUdpWhatExceedsTheClientsSizeAndTeachesNothingThen) {
  AnswerBuilder big("a.example");
  for (int i = 1; i < 60; ++i) big.a("a.example", 60, "192.0.2." + std::to_string(i));
  ASSERT_GT(big.build().size(), 900u);
  ask(kA, "a.example");
  ask(kA, "a.example", {.over_tcp = true});
  answer(big, "a.example");
  ASSERT_EQ(clients.replies.size(), 2u);
  EXPECT_TRUE(clients.replies[0].truncated());
  EXPECT_EQ(clients.replies[0].answers(), 0u);
  EXPECT_FALSE(clients.replies[1].truncated());
  EXPECT_EQ(clients.replies[1].answers(), 59u);
  EXPECT_EQ(sink.taught.size(), 1u);
  EXPECT_EQ(core.figures().truncated, 1u);
  ask(kA, "a.example", {.size = 600});
  answer(big, "a.example");
  EXPECT_TRUE(last_reply().truncated());
  ask(kA, "a.example", {.size = 1000});
  answer(big, "a.example");
  EXPECT_EQ(last_reply().answers(), 59u);
}

TEST_F(ProxyCoreTest, ForgettingAPlaceAnswersNobodyThereAndOthersAsBefore) {
  ask(kA, "a.example", {.place = 1});
  ask(kA, "a.example", {.place = 2});
  put(kA, "b.example", {.place = 1});
  core.forget_place(1);
  core.run_turn(now);
  EXPECT_EQ(upstream.asked.size(), 1u) << "nobody waits for b.example";
  answer("a.example");
  ASSERT_EQ(clients.replies.size(), 1u);
  EXPECT_EQ(last_reply().client.place, 2u);
  EXPECT_EQ(sink.taught.size(), 1u);
}

TEST_F(ProxyCoreTest, AForgottenWorkloadIsAnsweredServfailAndTaughtNothing) {
  ask(kA, "a.example", {.size = 1232});
  core.forget_workload(7);
  ASSERT_EQ(clients.replies.size(), 1u);
  EXPECT_EQ(last_reply().rcode(), 2u);
  EXPECT_EQ(last_reply().extended_error(), 14u);
  answer("a.example");
  EXPECT_EQ(clients.replies.size(), 1u);
  EXPECT_TRUE(sink.taught.empty());
  pass(seconds(5));
  core.tick(now);
  EXPECT_TRUE(core.figures_by_workload().empty());
}

TEST_F(ProxyCoreTest, AnAnswerIsJudgedByThePolicyThatIsInForceWhenItComes) {
  ask(kA, "a.example");
  ask(kA, "b.example", {.size = 1232});
  clients.askers[7] = testing::asker_of({{7, image_of({"a.example:22"})}});
  core.forget_workload(7);
  ASSERT_EQ(clients.replies.size(), 1u) << "b.example is refused at once";
  EXPECT_EQ(last_reply().rcode(), 3u);
  answer("a.example");
  answer("b.example");
  ASSERT_EQ(clients.replies.size(), 2u);
  EXPECT_EQ(last_reply().answers(), 1u);
  ASSERT_EQ(sink.taught.size(), 1u);
  EXPECT_EQ(sink.taught[0].lesson.decision,
            decide_name(*clients.askers[7]->front().image, testing::name_of("a.example")));
}

TEST_F(ProxyCoreTest, RefreshesAnAskerWhoseOuterWorkloadHasAnotherPolicy) {
  ask(testing::asker_of({{7, image_of({"a.example"})}, {8, image_of({"a.example"})}}), "a.example");
  clients.askers[7] = testing::asker_of({{7, image_of({"a.example"})}, {8, image_of({"b.example"})}});
  core.forget_workload(8);
  ASSERT_EQ(clients.replies.size(), 1u);
  EXPECT_EQ(last_reply().rcode(), 3u);
  EXPECT_EQ(last_event().cgroup_id, 8u);
}

TEST_F(ProxyCoreTest, UntilNextAnswerReplacesTheFamilyThatWasAskedFor) {
  const Asker asker = testing::asker_of(
      {{7, image_of({"a.example"}, {}, [](Policy& policy) { policy.dns.retain = Retain::kUntilNextAnswer; })}});
  ask(asker, "a.example");
  answer("a.example");
  EXPECT_EQ(sink.taught.back().lesson.replaces_family, 4u);
  EXPECT_EQ(sink.taught.back().lesson.grants.at(0).deadline, kNever);
  ask(asker, "a.example", {.type = kTypeAaaa});
  answer(AnswerBuilder("a.example", kTypeAaaa), "a.example");  // NODATA: none of them any more
  EXPECT_EQ(sink.taught.back().lesson.replaces_family, 6u);
  EXPECT_EQ(sink.taught.back().lesson.name.text(), "a.example");
  EXPECT_TRUE(sink.taught.back().lesson.grants.empty());
  ask(asker, "a.example", {.type = 16});
  answer(AnswerBuilder("a.example", 16), "a.example");
  EXPECT_EQ(sink.taught.size(), 2u);
}

TEST_F(ProxyCoreTest, WithholdsAnAnswerWhoseReplacementDidNotArrive) {
  sink.refuse = [](auto, auto&) { return NW_REASON_TEACHING_FAILED; };
  ask(testing::asker_of({{7, image_of({"a.example"}, {}, [](Policy& p) { p.dns.retain = Retain::kUntilNextAnswer; })}}),
      "a.example");
  answer(AnswerBuilder("a.example"), "a.example");
  EXPECT_EQ(last_reply().rcode(), 2u);
}

TEST_F(ProxyCoreTest, NeverTeachesTheHostsOwnAddresses) {
  core.set_own_addresses({testing::address_of("198.51.100.9")});
  ask(kA, "a.example");
  answer("a.example", "198.51.100.9");
  ASSERT_EQ(sink.taught.size(), 1u);
  EXPECT_EQ(sink.taught[0].lesson.grants.at(0).note, NW_REASON_SPECIAL_ANSWER);
}

TEST_F(ProxyCoreTest, ReportsNoMoreOfOneWorkloadThanTheKernelWouldAndCountsTheRest) {
  for (int i = 0; i < 1000; ++i) ask(kA, "evil.example");
  EXPECT_EQ(clients.replies.size(), 1000u);
  EXPECT_EQ(clients.events.size(), 256u);
  ask(testing::asker_of({{9, image_of({"a.example"})}}), "evil.example");
  EXPECT_EQ(clients.events.size(), 257u);
  pass(seconds(2));
  ask(kA, "evil.example");
  EXPECT_EQ(last_event().left_out, 744u);
}

}  // namespace
}  // namespace namewall::agent
