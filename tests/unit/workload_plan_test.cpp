#include "policy/workload_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PlannedPolicy policy(const std::string& name, const std::vector<std::string>& cgroups,
                     UnarmedChildren unarmed = UnarmedChildren::kWatch) {
  PlannedPolicy planned;
  planned.name = name;
  planned.file = name + ".toml";
  planned.unarmed_children = unarmed;
  for (const std::string& text : cgroups) planned.cgroups.push_back(*CgroupPattern::parse(text));
  return planned;
}

std::vector<ExistingCgroup> cgroups(const std::vector<std::string>& paths) {
  std::vector<ExistingCgroup> existing;
  for (const std::string& path : paths) existing.push_back({path, 100 + existing.size()});
  return existing;
}

const char* word_of(HeldBy held_by) {
  switch (held_by) {
    case HeldBy::kOwnPrograms:
      return "own";
    case HeldBy::kTemplate:
      return "template";
    case HeldBy::kTemplateRow:
      return "row";
    case HeldBy::kGuard:
      return "guard";
  }
  return "?";
}

// "NAME PATH HELD"
std::vector<std::string> lines_of(const std::vector<WantedWorkload>& wanted) {
  std::vector<std::string> lines;
  for (const WantedWorkload& one : wanted) lines.push_back(one.name + " " + one.cgroup + " " + word_of(one.held_by));
  return lines;
}

std::vector<std::string> plan(const std::vector<PlannedPolicy>& policies, const std::vector<std::string>& paths) {
  EXPECT_THAT(check_policies(policies), IsEmpty());
  return lines_of(plan_workloads(policies, cgroups(paths)));
}

std::vector<std::string> sentences_of(const std::vector<PlannedPolicy>& policies) {
  std::vector<std::string> sentences;
  for (const PlanError& error : check_policies(policies)) {
    sentences.push_back(error.file + " " + error.other_file + ": " + error.sentence);
  }
  return sentences;
}

TEST(WorkloadPlan, WantsTheChildrenOfATemplateThatArmsThem) {
  PlannedPolicy jobs = policy("jobs", {"/ci.slice/*"});
  const std::vector<std::string> paths = {"/ci.slice", "/ci.slice/one", "/ci.slice/one/deeper", "/ci.slice/two"};
  EXPECT_THAT(plan({jobs}, paths), ElementsAre("jobs /ci.slice template"));
  jobs.arms_children = true;
  EXPECT_THAT(plan({jobs}, paths),
              ElementsAre("jobs /ci.slice template", "jobs:one /ci.slice/one row", "jobs:two /ci.slice/two row"));
  EXPECT_THAT(plan({jobs, policy("two", {"/ci.slice/two"})}, paths),
              ElementsAre("jobs /ci.slice template", "jobs:one /ci.slice/one row", "two /ci.slice/two row"));
}

TEST(WorkloadPlan, ArmsAnExactPathUnderTheNameOfItsPolicy) {
  const auto wanted = plan_workloads({policy("a", {"/x/y"})}, cgroups({"/", "/x", "/x/y", "/x/y/z"}));
  ASSERT_THAT(lines_of(wanted), ElementsAre("a /x/y own"));
  EXPECT_EQ(wanted[0].cgroup_id, 102u);
  EXPECT_EQ(wanted[0].policy, "a");
}

TEST(WorkloadPlan, PutsATemplateOnTheParentAndNothingOnItsChildren) {
  EXPECT_THAT(plan({policy("ci", {"/ci.slice/*"})}, {"/", "/ci.slice", "/ci.slice/a", "/ci.slice/a/b"}),
              ElementsAre("ci /ci.slice template"));
  EXPECT_THAT(plan({policy("all", {"/*"})}, {"/", "/a"}), ElementsAre("all / template"));
}

TEST(WorkloadPlan, WantsNoTemplateOnAParentThatDoesNotExist) {
  EXPECT_THAT(plan({policy("ci", {"/ci.slice/*"})}, {"/", "/other"}), IsEmpty());
}

TEST(WorkloadPlan, ArmsWhatAGlobMatches) {
  EXPECT_THAT(plan({policy("u", {"/user.slice/user-*.slice/*"})},
                   {"/user.slice", "/user.slice/user-7.slice", "/user.slice/user-7.slice/a", "/user.slice/x/a"}),
              ElementsAre("u:user-7.slice/a /user.slice/user-7.slice/a own"));
  EXPECT_THAT(plan({policy("r", {"/job-*"})}, {"/", "/job-1"}), ElementsAre("r:job-1 /job-1 own"));
}

TEST(WorkloadPlan, LetsAnExactPathBeatAGlob) {
  EXPECT_THAT(plan({policy("glob", {"/x/j*"}), policy("exact", {"/x/job"})}, {"/x/job", "/x/jab"}),
              ElementsAre("glob:jab /x/jab own", "exact /x/job own"));
}

TEST(WorkloadPlan, GivesAnExactChildOfATemplateARow) {
  EXPECT_THAT(plan({policy("ci", {"/ci/*"}), policy("special", {"/ci/b"})}, {"/ci", "/ci/a", "/ci/b"}),
              ElementsAre("ci /ci template", "special /ci/b row"));
  EXPECT_THAT(plan({policy("all", {"/*"}), policy("root", {"/"})}, {"/", "/a"}),
              ElementsAre("root / own", "all:a /a own"));
}

TEST(WorkloadPlan, WatchesTheChildrenOfATemplateWhoseParentIsAWorkload) {
  EXPECT_THAT(plan({policy("t", {"/x/*"}), policy("w", {"/x"}), policy("s", {"/x/b"})}, {"/x", "/x/a", "/x/b"}),
              ElementsAre("w /x own", "t:a /x/a own", "s /x/b own"));
}

TEST(WorkloadPlan, WatchesTheChildrenOfATemplateWhoseParentIsAnotherTemplatesChild) {
  EXPECT_THAT(plan({policy("outer", {"/x/*"}), policy("inner", {"/x/y/*"})}, {"/x", "/x/y", "/x/y/z"}),
              ElementsAre("outer /x template", "inner:z /x/y/z own"));
}

TEST(WorkloadPlan, KeepsATemplateDeeperBelowAnother) {
  EXPECT_THAT(plan({policy("outer", {"/x/*"}), policy("inner", {"/x/y/z/*"})}, {"/x", "/x/y", "/x/y/z", "/x/y/z/w"}),
              ElementsAre("outer /x template", "inner /x/y/z template"));
}

TEST(WorkloadPlan, HoldsNestedWorkloadsBoth) {
  EXPECT_THAT(plan({policy("in", {"/x/y"}), policy("out", {"/x"})}, {"/x", "/x/y"}),
              ElementsAre("out /x own", "in /x/y own"));
}

TEST(WorkloadPlan, NamesTheWorkloadsOfSeveralEntriesByWholePaths) {
  EXPECT_THAT(plan({policy("a", {"/x/y", "/ci/*", "/job-*"})}, {"/x/y", "/ci", "/job-1"}),
              ElementsAre("a::/ci/* /ci template", "a:/job-1 /job-1 own", "a:/x/y /x/y own"));
}

TEST(WorkloadPlan, LetsATemplateBeatOtherGlobsOfItsPolicy) {
  EXPECT_THAT(plan({policy("a", {"/x/b*", "/x/*"}, UnarmedChildren::kRefuse)}, {"/x", "/x/b1"}),
              ElementsAre("a::/x/* /x template"));
}

TEST(WorkloadPlan, GuardsTheFixedPartOfAWatchedGlobWherePoliciesSaySo) {
  EXPECT_THAT(plan({policy("a", {"/x/j*"}, UnarmedChildren::kRefuse), policy("b", {"/x/k*"}),
                    policy("c", {"/x/*/l", "/x/*/m"}, UnarmedChildren::kRefuse)},
                   {"/x", "/x/j1"}),
              ElementsAre("a /x guard", "c::/x/*/l /x guard", "a:j1 /x/j1 own"));
}

TEST(WorkloadPlan, GuardsNothingUnderATemplate) {
  EXPECT_THAT(plan({policy("t", {"/x/*"}, UnarmedChildren::kRefuse), policy("g", {"/x/*/y"}, UnarmedChildren::kRefuse)},
                   {"/x", "/x/a", "/x/a/y"}),
              ElementsAre("t /x template", "g:a/y /x/a/y own"));
}

TEST(WorkloadPlan, GuardsAWorkloadWhoseChildrenAreWatched) {
  EXPECT_THAT(plan({policy("w", {"/x"}), policy("t", {"/x/*"}, UnarmedChildren::kRefuse)}, {"/x"}),
              ElementsAre("w /x own", "t /x guard"));
}

TEST(WorkloadPlan, RefusesGlobsThatCanMeetAndNamesBothFiles) {
  EXPECT_THAT(
      sentences_of({policy("a", {"/x/*"}), policy("b", {"/y", "/x/job-*"})}),
      ElementsAre("a.toml b.toml: `cgroup` `/x/*` in a.toml and `/x/job-*` in b.toml can match the same cgroup; "
                  "narrow one of them, or write exact paths, which beat globs"));
  EXPECT_THAT(check_policies({policy("a", {"/x/*/b"}), policy("b", {"/*/a/b"})}), ::testing::SizeIs(1));
  EXPECT_THAT(check_policies({policy("a", {"/*/*"}), policy("b", {"/x/y*"}), policy("c", {"/x/z*"})}),
              ::testing::SizeIs(2));
}

TEST(WorkloadPlan, RefusesTwoPoliciesForOnePath) {
  EXPECT_THAT(sentences_of({policy("a", {"/x"}), policy("b", {"/x"})}),
              ElementsAre("a.toml b.toml: `/x` is the `cgroup` of two policies, in a.toml and in b.toml; a cgroup has "
                          "one policy"));
}

TEST(WorkloadPlan, RefusesANameTwice) {
  PlannedPolicy again = policy("a", {"/x"});
  again.file = "b.toml";
  EXPECT_THAT(sentences_of({policy("a", {"/x"}), again}),
              ElementsAre("a.toml b.toml: `name` is \"a\" in a.toml and in b.toml; each policy has a name of its own"));
}

TEST(WorkloadPlan, AcceptsGlobsOfOnePolicyThatMeetAndExactPathsUnderGlobs) {
  EXPECT_THAT(check_policies({policy("a", {"/x/*", "/x/b*", "/x/*"}), policy("b", {"/x/c"})}), IsEmpty());
}

TEST(WorkloadPlan, SaysHowAPatternIsHeld) {
  const std::vector<PlannedPolicy> policies = {policy("t", {"/x/*", "/y/j*"}), policy("e", {"/x/a", "/z"}),
                                               policy("n", {"/z/*"})};
  EXPECT_EQ(how_held(policies, policies[0], policies[0].cgroups[0]), HeldBy::kTemplate);
  EXPECT_EQ(how_held(policies, policies[0], policies[0].cgroups[1]), HeldBy::kOwnPrograms);
  EXPECT_EQ(how_held(policies, policies[1], policies[1].cgroups[0]), HeldBy::kTemplateRow);
  EXPECT_EQ(how_held(policies, policies[1], policies[1].cgroups[1]), HeldBy::kOwnPrograms);
  EXPECT_EQ(how_held(policies, policies[2], policies[2].cgroups[0]), HeldBy::kOwnPrograms);
}

TEST(ForeignChildren, AreThoseBelowAGuardThatNothingArms) {
  const std::vector<PlannedPolicy> policies = {policy("a", {"/x/job-*"}, UnarmedChildren::kRefuse),
                                               policy("b", {"/x/own"}), policy("t", {"/x/pool/*"})};
  const auto existing = cgroups({"/", "/x", "/x/job-1", "/x/job-1/below", "/x/own/below", "/x/other", "/x/other/deep",
                                 "/x/pool", "/x/pool/1", "/y"});
  EXPECT_THAT(find_foreign_children(policies[0], policies, existing), ElementsAre("/x/other", "/x/other/deep"));
  EXPECT_THAT(find_foreign_children(policies[1], policies, existing), IsEmpty());
  EXPECT_THAT(find_foreign_children(policies[2], policies, existing), IsEmpty());
}

TEST(SharedCgroups, AreThoseWhoseChildrenBelongToManyPrograms) {
  for (const char* path :
       {"/", "/system.slice", "/user.slice", "/init.scope", "/machine.slice", "/machine.slice/a.scope", "/kubepods",
        "/kubepods/burstable", "/kubepods.slice", "/kubepods-besteffort.slice/pod7"}) {
    EXPECT_TRUE(is_shared_cgroup(path)) << path;
  }
  for (const char* path :
       {"/ci.slice", "/system.slice/x.service", "/user.slice/user-7.slice", "/kubepodsx", "/x/kubepods"}) {
    EXPECT_FALSE(is_shared_cgroup(path)) << path;
  }
}

// Trees of few names, so that patterns meet them often.
class RandomTree {
 public:
  explicit RandomTree(std::uint32_t seed) : random_(seed) {}

  std::vector<ExistingCgroup> tree() {
    std::set<std::string> paths = {"/"};
    for (int i = 0; i < 40; ++i) {
      std::string path;
      for (std::uint32_t depth = 1 + below(4); depth > 0; --depth) paths.insert(path += "/" + pick(kNames));
    }
    std::vector<ExistingCgroup> existing;
    for (const std::string& path : paths) existing.push_back({path, ++next_id_});
    std::shuffle(existing.begin(), existing.end(), random_);
    return existing;
  }

  // Without those that clash with an earlier one.
  std::vector<PlannedPolicy> policies() {
    std::vector<PlannedPolicy> accepted;
    for (std::uint32_t i = 0; i < 8; ++i) {
      std::vector<std::string> patterns;
      for (std::uint32_t count = 1 + below(3); count > 0; --count) {
        std::string path;
        for (std::uint32_t depth = 1 + below(3); depth > 0; --depth) path += "/" + pick(kGlobs);
        patterns.push_back(below(20) == 0 ? "/" : path);
      }
      accepted.push_back(policy("p" + std::to_string(i), patterns, static_cast<UnarmedChildren>(below(2))));
      if (!check_policies(accepted).empty()) accepted.pop_back();
    }
    return accepted;
  }

 private:
  static constexpr const char* kNames[] = {"a", "ab", "b", "ba", "c"};
  static constexpr const char* kGlobs[] = {"a", "b", "c", "a*", "*b", "*", "*", "ab"};
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  template <std::size_t N>
  std::string pick(const char* const (&texts)[N]) {
    return texts[below(N)];
  }
  std::mt19937 random_;
  std::uint64_t next_id_ = 0;
};

TEST(WorkloadPlan, IsThatOfEachCgroupAlone) {
  RandomTree random(20'26);
  std::set<HeldBy> seen;
  for (int round = 0; round < 300; ++round) {
    const std::vector<ExistingCgroup> tree = random.tree();
    const std::vector<PlannedPolicy> policies = random.policies();
    std::vector<ExistingCgroup> sorted = tree;
    std::sort(sorted.begin(), sorted.end());
    std::vector<WantedWorkload> one_by_one;
    for (const ExistingCgroup& cgroup : sorted) {
      for (WantedWorkload& wanted : plan_cgroup(policies, cgroup)) one_by_one.push_back(std::move(wanted));
    }
    ASSERT_EQ(plan_workloads(policies, tree), one_by_one) << "round " << round;
    for (const WantedWorkload& wanted : one_by_one) seen.insert(wanted.held_by);
  }
  EXPECT_EQ(seen.size(), 4u);
}

// What must hold of any plan, whatever the policies: said once more, in another way.
TEST(WorkloadPlan, HoldsEveryMatchOnceUnderAUniqueName) {
  RandomTree random(7);
  for (int round = 0; round < 300; ++round) {
    const std::vector<ExistingCgroup> tree = random.tree();
    const std::vector<PlannedPolicy> policies = random.policies();
    const std::vector<WantedWorkload> plan = plan_workloads(policies, tree);
    std::set<std::string> names, armed, templates;
    for (const WantedWorkload& wanted : plan) {
      if (wanted.held_by == HeldBy::kTemplate) templates.insert(wanted.cgroup);
      if (wanted.held_by == HeldBy::kGuard) continue;
      EXPECT_TRUE(armed.insert(wanted.cgroup).second) << wanted.cgroup;
      EXPECT_TRUE(names.insert(wanted.name).second) << wanted.name;
    }
    for (const ExistingCgroup& cgroup : tree) {
      bool matches = false;
      for (const PlannedPolicy& one : policies) {
        for (const CgroupPattern& pattern : one.cgroups) matches = matches || pattern.matches(cgroup.path);
      }
      const bool is_held = (armed.contains(cgroup.path) && !templates.contains(cgroup.path)) ||
                           (cgroup.path != "/" && templates.contains(std::string(parent_cgroup(cgroup.path))));
      ASSERT_EQ(matches, is_held) << "round " << round << " " << cgroup.path;
    }
  }
}

}  // namespace
}  // namespace namewall
