#include "agent/host/workload_askers.h"

#include <gmock/gmock.h>

#include "policy/image_hash.h"
#include "tests/unit/agent/policy_image_builder.h"

namespace namewall::agent {
namespace {

HeldPolicyPtr held(const PolicyImage& image) {
  auto version = std::make_shared<PolicyVersion>();
  version->image = std::make_shared<const PolicyImage>(image);
  auto policy = std::make_shared<HeldPolicy>();
  policy->version = std::move(version);
  policy->host = std::make_shared<const HostVersion>();
  policy->image_hash = hash_of(image);
  return policy;
}

PolicyImage learning(const std::vector<std::string>& allow, Learn learn) {
  PolicyImage image = image_of(allow);
  image.learn = learn;
  return image;
}

class AskersTest : public testing::Test {
 protected:
  Workload& add(const std::string& name, const std::string& cgroup, std::uint64_t id,
                const PolicyImage& image = learning({"tcp://shop.example:1"}, Learn::kKernel),
                HeldBy held_by = HeldBy::kOwnPrograms) {
    Workload made;
    made.name = name;
    made.cgroup = cgroup;
    made.cgroup_id = id;
    made.is_armed = true;
    made.held_by = held_by;
    made.policy = held(image);
    EXPECT_TRUE(registry_.add(std::move(made)));
    ++figures_.generation;
    return *registry_.find_by_id(id);
  }
  static std::vector<std::string> names_of(const Asker& asker) {
    std::vector<std::string> names;
    for (const AskerLevel& level : asker ? *asker : std::vector<AskerLevel>{}) names.push_back(level.workload);
    return names;
  }

  WorkloadRegistry registry_;
  HostFigures figures_;
  std::function<void()> meet_ = [] {};
  std::vector<ExistingCgroup> cgroups_;
  std::size_t looks_ = 0;
  WorkloadAskers askers_{registry_, figures_, {[this] { meet_(); }, [this] { return ++looks_, cgroups_; }}};
};

TEST_F(AskersTest, HaveTheWorkloadsAboveAsLevelsTheInnermostFirst) {
  add("outer", "/a", 1);
  add("inner", "/a/b/c", 2);
  add("beside", "/ab", 3);
  EXPECT_THAT(names_of(askers_.find(2)), testing::ElementsAre("inner", "outer"));
  EXPECT_THAT(names_of(askers_.find(1)), testing::ElementsAre("outer"));
  EXPECT_EQ(askers_.find(9), nullptr);
}

TEST_F(AskersTest, SayWhichPolicyEachLevelHas) {
  add("outer", "/a", 1);
  add("inner", "/a/b", 2, learning({"tcp://bank.example:1"}, Learn::kProxy));
  const Asker asker = askers_.find(2);
  ASSERT_TRUE(asker);
  for (const AskerLevel& level : *asker) EXPECT_EQ(level.image_hash, hash_of(*level.image));
}

TEST_F(AskersTest, AreTheSameUntilAPolicyChanges) {
  add("outer", "/a", 1);
  add("inner", "/a/b", 2);
  const Asker first = askers_.find(2);
  add("other", "/c", 3);
  EXPECT_EQ(askers_.find(2), first) << "a change elsewhere";
  Workload changed = *registry_.find_by_id(1);
  changed.policy = held(learning({"tcp://bank.example:1"}, Learn::kKernel));
  registry_.add(std::move(changed));
  ++figures_.generation;
  const Asker second = askers_.find(2);
  ASSERT_NE(second, first);
  EXPECT_NE(second->at(1).image, first->at(1).image);
  EXPECT_EQ(second->at(0).image, first->at(0).image);
}

TEST_F(AskersTest, AreNobodyWhereALevelIsOverUnknownOrNotArmed) {
  Workload& outer = add("outer", "/a", 1);
  add("inner", "/a/b", 2);
  outer.is_over = true;
  ++figures_.generation;
  EXPECT_EQ(askers_.find(2), nullptr) << "everything is refused to the outer one";
  outer.is_over = false;
  outer.policy = nullptr;
  ++figures_.generation;
  EXPECT_EQ(askers_.find(2), nullptr) << "adopted: nobody knows its policy";
  registry_.find_by_id(2)->is_armed = false;
  EXPECT_EQ(askers_.find(2), nullptr);
}

TEST_F(AskersTest, OfATemplateAreItsChildrenMetAtTheirFirstQuestion) {
  add("ci", "/ci", 1, learning({"tcp://shop.example:1"}, Learn::kKernel), HeldBy::kTemplate);
  meet_ = [this] { add("ci:job", "/ci/job", 7, {}, HeldBy::kTemplateRow).is_template_child = true; };
  EXPECT_THAT(names_of(askers_.find(7)), testing::ElementsAre("ci:job"));
  EXPECT_EQ(askers_.find(1), nullptr) << "a template's own processes are not held";
}

TEST_F(AskersTest, InATemplatesChildThatNobodyHasMetAreMetFirst) {
  add("ci", "/ci", 1, learning({"tcp://shop.example:1"}, Learn::kKernel), HeldBy::kTemplate);
  add("deep", "/ci/job/deep", 2);
  EXPECT_EQ(askers_.find(2), nullptr) << "one level less would learn too little";
  meet_ = [this] { add("ci:job", "/ci/job", 7, {}, HeldBy::kTemplateRow).is_template_child = true; };
  EXPECT_THAT(names_of(askers_.find(2)), testing::ElementsAre("deep", "ci:job"));
}

TEST_F(AskersTest, AreFoundByAnyCgroupBelow) {
  add("outer", "/a", 1);
  add("inner", "/a/b", 2);
  cgroups_ = {{"/a", 1}, {"/a/b", 2}, {"/a/b/x", 20}, {"/a/y", 21}, {"/z", 22}};
  EXPECT_THAT(names_of(askers_.find_of_cgroup(20)), testing::ElementsAre("inner", "outer"));
  EXPECT_THAT(names_of(askers_.find_of_cgroup(21)), testing::ElementsAre("outer"));
  EXPECT_THAT(names_of(askers_.find_of_cgroup(2)), testing::ElementsAre("inner", "outer"));
  EXPECT_EQ(askers_.find_of_cgroup(22), nullptr);
  EXPECT_EQ(looks_, 1u) << "a stranger's cgroup must not have the host searched each time";
}

TEST_F(AskersTest, ThatAChangeConcernsAreThoseWithTheLevelAndTheTemplatesChildren) {
  add("ci", "/ci", 1, learning({"tcp://shop.example:1"}, Learn::kKernel), HeldBy::kTemplate);
  add("ci:job", "/ci/job", 7, {}, HeldBy::kTemplateRow).is_template_child = true;
  add("outer", "/a", 2);
  add("inner", "/a/b", 3);
  add("other", "/c", 4);
  for (const std::uint64_t id : {7u, 2u, 3u, 4u}) ASSERT_NE(askers_.find(id), nullptr);
  EXPECT_THAT(askers_.kept_with({1}), testing::UnorderedElementsAre(7u));
  EXPECT_THAT(askers_.kept_with({2}), testing::UnorderedElementsAre(2u, 3u));
  EXPECT_THAT(askers_.kept_with({3}), testing::UnorderedElementsAre(3u));
}

TEST_F(AskersTest, OneLevelThatWantsTheProxyDecidesForTheChain) {
  add("outer", "/a", 1, learning({"tcp://shop.example:1"}, Learn::kProxy));
  add("inner", "/a/b", 2);
  add("other", "/c", 3);
  const auto wants = [&](std::uint64_t id) {
    return level_that_wants_proxy(askers_.levels_of(*registry_.find_by_id(id)).workloads);
  };
  ASSERT_NE(wants(2), nullptr);
  EXPECT_EQ(wants(2)->name, "outer");
  EXPECT_EQ(wants(3), nullptr);
}

}  // namespace
}  // namespace namewall::agent
