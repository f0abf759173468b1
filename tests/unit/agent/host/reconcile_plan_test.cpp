#include "agent/host/reconcile_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

HeldPolicyPtr policy(const std::string& name, std::uint64_t hash) {
  auto version = std::make_shared<PolicyVersion>();
  version->planned.name = name;
  auto made = std::make_shared<HeldPolicy>();
  made->version = std::move(version);
  made->image_hash = hash;
  return made;
}

DesiredWorkload desired(const std::string& name, const std::string& cgroup, std::uint64_t id, HeldPolicyPtr policy,
                        HeldBy held_by = HeldBy::kOwnPrograms) {
  return {{name, cgroup, id, policy->name(), held_by}, policy, false};
}

ArmedCgroup armed(std::uint64_t id, std::uint64_t hash, bool is_known) {
  ArmedCgroup cgroup;
  cgroup.cgroup_id = id;
  cgroup.image_hash = hash;
  cgroup.is_known = is_known;
  return cgroup;
}

std::vector<std::string> changes(const std::vector<DesiredWorkload>& desired, const std::vector<ArmedCgroup>& armed,
                                 const CgroupPaths& existing, const std::set<std::uint64_t>& guarded = {}) {
  std::vector<std::string> texts;
  for (const KernelChange& change : plan_changes(desired, armed, existing, guarded)) texts.push_back(to_string(change));
  return texts;
}

ArmedCgroup armed_template(std::uint64_t id, std::uint64_t hash) {
  ArmedCgroup cgroup = armed(id, hash, true);
  cgroup.is_template = true;
  return cgroup;
}

const HeldPolicyPtr kBuilder = policy("builder", 0xb);
const HeldPolicyPtr kJobs = policy("jobs", 0x1);

TEST(ReconcilePlan, WhatIsNotArmedIsArmed) {
  EXPECT_THAT(changes({desired("builder", "/b", 2, kBuilder)}, {}, {{2, "/b"}}), ElementsAre("arm builder at /b"));
}

TEST(ReconcilePlan, WhatTheKernelHoldsAlreadyIsRecognisedOnceAndThenKept) {
  const std::vector<DesiredWorkload> wanted{desired("builder", "/b", 2, kBuilder)};
  EXPECT_THAT(changes(wanted, {armed(2, 0xb, false)}, {{2, "/b"}}), ElementsAre("recognise builder at /b"));
  EXPECT_THAT(changes(wanted, {armed(2, 0xb, true)}, {{2, "/b"}}), ElementsAre("keep builder at /b"));
}

TEST(ReconcilePlan, AnotherPolicyIsReplacedWhetherKnownOrNot) {
  const std::vector<DesiredWorkload> wanted{desired("builder", "/b", 2, kBuilder)};
  EXPECT_THAT(changes(wanted, {armed(2, 0xc, false)}, {{2, "/b"}}), ElementsAre("replace builder at /b"));
  EXPECT_THAT(changes(wanted, {armed(2, 0xc, true)}, {{2, "/b"}}), ElementsAre("replace builder at /b"));
}

TEST(ReconcilePlan, WhatNobodyWantsStaysEnforcedAsAdopted) {
  EXPECT_THAT(changes({}, {armed(2, 0xc, false)}, {{2, "/b"}}), ElementsAre("adopt at /b"));
}

TEST(ReconcilePlan, ARemovedCgroupIsForgottenFirst) {
  EXPECT_THAT(changes({desired("builder", "/b", 3, kBuilder)}, {armed(2, 0xb, true)}, {{3, "/b"}}),
              ElementsAre("forget cgroup 2", "arm builder at /b"));
}

TEST(ReconcilePlan, ATemplatesChildIsMetWithItsTemplatesPolicyAndNamedAfterIt) {
  ArmedCgroup child = armed(5, 0x1, false);
  child.is_child = true;
  child.template_id = 4;
  EXPECT_THAT(changes({desired("jobs", "/ci", 4, kJobs, HeldBy::kTemplate)}, {armed_template(4, 0x1), child},
                      {{4, "/ci"}, {5, "/ci/job-17"}}),
              ElementsAre("keep jobs at /ci", "meet jobs:job-17 at /ci/job-17"));
}

TEST(ReconcilePlan, ChildrenOfAPolicyWithSeveralEntriesAreNamedByTheirPath) {
  ArmedCgroup child = armed(5, 0x1, false);
  child.is_child = true;
  child.template_id = 4;
  EXPECT_THAT(changes({desired("jobs::/ci/*", "/ci", 4, kJobs, HeldBy::kTemplate)}, {armed_template(4, 0x1), child},
                      {{4, "/ci"}, {5, "/ci/job-17"}}),
              ElementsAre("keep jobs::/ci/* at /ci", "meet jobs:/ci/job-17 at /ci/job-17"));
}

TEST(ReconcilePlan, AChildWithAnExactPolicyIsArmedThoughTheKernelHasMetIt) {
  ArmedCgroup child = armed(5, 0x1, false);
  child.is_child = true;
  child.template_id = 4;
  const std::vector<DesiredWorkload> wanted{desired("jobs", "/ci", 4, kJobs, HeldBy::kTemplate),
                                            desired("special", "/ci/x", 5, kBuilder, HeldBy::kTemplateRow)};
  const CgroupPaths existing{{4, "/ci"}, {5, "/ci/x"}};
  EXPECT_THAT(changes(wanted, {armed_template(4, 0x1), child}, existing),
              ElementsAre("arm special at /ci/x", "keep jobs at /ci"));
  child.has_own_policy = true;
  EXPECT_THAT(changes(wanted, {armed_template(4, 0x1), child}, existing),
              ElementsAre("replace special at /ci/x", "keep jobs at /ci"));
}

TEST(ReconcilePlan, AChildOfAnUnknownTemplateIsAdopted) {
  ArmedCgroup child = armed(5, 0x1, false);
  child.is_child = true;
  child.template_id = 4;
  EXPECT_THAT(changes({}, {child}, {{5, "/ci/x"}}), ElementsAre("adopt at /ci/x"));
}

TEST(ReconcilePlan, WhatIsHeldInAnotherWayStaysAsItIs) {
  EXPECT_THAT(changes({desired("jobs", "/ci", 4, kJobs, HeldBy::kTemplate)}, {armed(4, 0x1, true)}, {{4, "/ci"}}),
              ElementsAre("misfit jobs at /ci"));
  EXPECT_THAT(changes({desired("jobs", "/ci", 4, kJobs)}, {armed_template(4, 0x1)}, {{4, "/ci"}}),
              ElementsAre("misfit jobs at /ci"));
}

TEST(ReconcilePlan, GuardsCloseBeforeAnythingIsArmedBelowThem) {
  EXPECT_THAT(changes({desired("jobs", "/ci", 4, kJobs, HeldBy::kGuard), desired("jobs:x", "/ci/x/j", 5, kJobs)}, {},
                      {{4, "/ci"}, {5, "/ci/x/j"}}),
              ElementsAre("guard jobs at /ci", "arm jobs:x at /ci/x/j"));
}

TEST(ReconcilePlan, AGuardThatIsNoLongerWrittenIsTakenAway) {
  EXPECT_THAT(changes({}, {}, {{4, "/ci"}}, {4}), ElementsAre("unguard cgroup 4"));
  EXPECT_THAT(changes({}, {}, {}, {4}), ElementsAre("forget cgroup 4"));
  EXPECT_THAT(changes({desired("jobs", "/ci", 4, kJobs, HeldBy::kGuard)}, {}, {{4, "/ci"}}, {4}), IsEmpty());
}

TEST(ReconcilePlan, AWorkloadWhoseTimeIsOverIsNotOpenedAgain) {
  DesiredWorkload over = desired("job", "/b", 2, kBuilder);
  over.is_over = true;
  EXPECT_THAT(changes({over}, {armed(2, 0, false)}, {{2, "/b"}}), ElementsAre("keep job at /b"));
}

TEST(ReconcilePlan, ParentsAreArmedBeforeWhatIsBelowThem) {
  EXPECT_THAT(
      changes({desired("outer", "/a", 1, kJobs), desired("inner", "/a/b", 2, kBuilder)}, {}, {{1, "/a"}, {2, "/a/b"}}),
      ElementsAre("arm outer at /a", "arm inner at /a/b"));
}

}  // namespace
}  // namespace namewall::agent
