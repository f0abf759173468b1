#include "agent/host/live_proof.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <set>

#include "tests/unit/agent/event_builder.h"
#include "tests/unit/agent/policy_image_builder.h"

namespace namewall::agent {
namespace {

using testing::HasSubstr;
using Outcome = ProofStep::Outcome;

ProofStep as_expected(int error_number) { return {Outcome::kAsExpected, error_number, std::chrono::microseconds(120)}; }
ProofStep otherwise(int error_number) { return {Outcome::kOtherwise, error_number, std::chrono::microseconds(120)}; }

ProofOutcome good_outcome() {
  ProofOutcome outcome;
  outcome.address = as_expected(ECONNREFUSED);
  outcome.name = as_expected(EPERM);
  outcome.loopback = as_expected(0);
  return outcome;
}

bool is_refused(const PolicyImage& image, const ProofPlan& plan) {
  return (decide_address(image, *plan.refused_address).allow & image.mask_of(Protocol::kTcp, plan.refused_port)) == 0;
}

TEST(ProofPlan, TriesAnAddressThatNoRuleAllowsWhateverTheNonce) {
  const PolicyImage image = image_of({"tcp://192.0.2.0/24:*", "tcp://198.51.100.0/24:1-60000", "registry.npmjs.org"});
  for (std::uint64_t nonce = 0; nonce < 500; ++nonce) {
    const ProofPlan plan = plan_proof(image, nonce);
    ASSERT_TRUE(plan.refused_address) << nonce;
    EXPECT_TRUE(is_refused(image, plan)) << plan.refused_address->to_string();
  }
}

TEST(ProofPlan, TakesAPortThatNoNameCouldOpen) {
  // A workload that controls an allowed name could have it answer with any address.
  const PolicyImage image = image_of({"tcp://**.example.com:1-65000"});
  for (std::uint64_t nonce = 0; nonce < 200; ++nonce) {
    EXPECT_GT(plan_proof(image, nonce).refused_port.number, 65000) << nonce;
  }
}

TEST(ProofPlan, DiffersWithEachNonce) {
  const PolicyImage image = image_of({"registry.npmjs.org"});
  std::set<std::string> names, addresses;
  for (std::uint64_t nonce = 0; nonce < 100; ++nonce) {
    const ProofPlan plan = plan_proof(image, nonce);
    names.insert(plan.refused_name);
    addresses.insert(plan.refused_address->to_string() + " " + std::to_string(plan.refused_port.number));
  }
  EXPECT_EQ(names.size(), 100u);
  EXPECT_GT(addresses.size(), 95u);
}

TEST(ProofPlan, SaysWhyNothingIsRefused) {
  const ProofPlan open = plan_proof(image_of({"*://*:*"}), 1);
  EXPECT_FALSE(open.refused_address);
  EXPECT_EQ(open.no_refused_address, "the policy allows every address and port");
  EXPECT_FALSE(open.resolver);
  EXPECT_EQ(open.no_refused_name, "the policy allows every name");
  const ProofPlan audit = plan_proof(image_of({}, {}, [](Policy& policy) { policy.mode = Mode::kAudit; }), 1);
  EXPECT_FALSE(audit.refused_address);
  EXPECT_EQ(audit.no_refused_address, "the policy is in audit mode, where everything passes");
  const ProofPlan mute = plan_proof(image_of({}, {}, [](Policy& policy) { policy.dns.resolvers.clear(); }), 1);
  EXPECT_EQ(mute.no_refused_name, "the policy trusts no resolver");
}

TEST(ProofPlan, LeavesLoopbackWhereThePolicyDoes) {
  EXPECT_TRUE(plan_proof(image_of({}), 1).loopback);
  EXPECT_FALSE(plan_proof(image_of({}, {}, [](Policy& policy) { policy.loopback = Loopback::kNone; }), 1).loopback);
}

TEST(ProofEvents, AreThoseOfThisPlanAlone) {
  const PolicyImage image = image_of({});
  const ProofPlan plan = plan_proof(image, 7), other = plan_proof(image, 8);
  const Event connect = refused_connect(*plan.refused_address, plan.refused_port.number);
  const Event lookup = refused_lookup(plan.refused_name);
  EXPECT_TRUE(is_of_proof(plan, connect));
  EXPECT_TRUE(is_of_proof(plan, lookup));
  EXPECT_FALSE(is_of_proof(other, connect));
  EXPECT_FALSE(is_of_proof(other, lookup));
  EXPECT_FALSE(is_of_proof(plan, refused_lookup("")));
  EXPECT_FALSE(is_of_proof(ProofPlan{}, refused_lookup("")));
  EXPECT_FALSE(is_of_proof(ProofPlan{}, refused_connect(Address(), 0)));
}

TEST(ProofDescription, PassesWhenEveryStepThatWasTriedWasAsExpected) {
  const ProofPlan plan = plan_proof(image_of({}), 7);
  const ProofView view = describe_proof("builder", plan, good_outcome());
  EXPECT_TRUE(view.passed);
  ASSERT_EQ(view.steps.size(), 3u);
  EXPECT_THAT(view.steps[0], HasSubstr("refused address tcp " + plan.refused_address->to_string() + ":"));
  EXPECT_THAT(view.steps[0], HasSubstr("refused in 0.1 ms"));
  EXPECT_EQ(view.steps[2], "allowed loopback: allowed in 0.1 ms");
}

TEST(ProofDescription, FailsByEachStepAlone) {
  const ProofPlan plan = plan_proof(image_of({}), 7);
  for (ProofStep ProofOutcome::*step : {&ProofOutcome::address, &ProofOutcome::name, &ProofOutcome::loopback}) {
    ProofOutcome outcome = good_outcome();
    outcome.*step = otherwise(EINPROGRESS);
    EXPECT_FALSE(describe_proof("builder", plan, outcome).passed);
  }
  ProofOutcome open = good_outcome();
  open.name = otherwise(0);
  EXPECT_THAT(describe_proof("builder", plan, open).steps[1], HasSubstr("NOT refused"));
}

TEST(ProofDescription, IsNotPassedByAnObstacleOrByLoopbackAlone) {
  const ProofPlan plan = plan_proof(image_of({}), 7);
  ProofOutcome frozen;
  frozen.obstacle = ProofOutcome::Obstacle::kFrozen;
  const ProofView view = describe_proof("builder", plan, frozen);
  EXPECT_FALSE(view.passed);
  EXPECT_THAT(view.steps, testing::ElementsAre("not run: the workload is frozen (cgroup.freeze)"));
  ProofOutcome loopback;
  loopback.loopback = as_expected(0);
  EXPECT_FALSE(was_run(loopback));
  EXPECT_FALSE(describe_proof("builder", plan, loopback).passed);
}

TEST(ProofDescription, SaysWhyAPlanWithoutRefusalsIsNotRun) {
  const ProofPlan plan = plan_proof(image_of({"*://*:*"}), 1);
  EXPECT_THAT(describe_proof("builder", plan, ProofOutcome{}).steps,
              testing::ElementsAre("not run: the policy allows every address and port"));
}

}  // namespace
}  // namespace namewall::agent
