#include "agent/host/cgroup_interest.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

CgroupInterest interest_in(const std::vector<std::string>& texts) {
  std::vector<CgroupPattern> patterns;
  for (const std::string& text : texts) patterns.push_back(*CgroupPattern::parse(text));
  return CgroupInterest(patterns);
}

TEST(CgroupInterest, GoesNoFurtherThanAnExactPath) {
  const CgroupInterest interest = interest_in({"/system.slice/x.service"});
  EXPECT_TRUE(interest.includes("/"));
  EXPECT_TRUE(interest.includes("/system.slice"));
  EXPECT_TRUE(interest.includes("/system.slice/x.service"));
  EXPECT_FALSE(interest.includes("/system.slice/y.service"));
  EXPECT_FALSE(interest.includes("/user.slice"));
  EXPECT_TRUE(interest.includes_children_of("/"));
  EXPECT_TRUE(interest.includes_children_of("/system.slice"));
  EXPECT_FALSE(interest.includes_children_of("/system.slice/x.service"));
}

TEST(CgroupInterest, FollowsAGlobToItsLastComponent) {
  const CgroupInterest interest = interest_in({"/user.slice/user-*.slice/*"});
  EXPECT_TRUE(interest.includes_children_of("/user.slice/user-7.slice"));
  EXPECT_FALSE(interest.includes("/user.slice/x"));
  EXPECT_TRUE(interest.includes("/user.slice/user-7.slice/a"));
  EXPECT_FALSE(interest.includes_children_of("/user.slice/user-7.slice/a"));
}

TEST(CgroupInterest, JoinsWhatPatternsNeed) {
  const CgroupInterest interest = interest_in({"/a", "/a/b/c", "/a/*"});
  EXPECT_TRUE(interest.includes_children_of("/a"));
  EXPECT_TRUE(interest.includes_children_of("/a/b"));
  EXPECT_FALSE(interest.includes_children_of("/a/x"));
  EXPECT_TRUE(interest.includes("/a/x"));
}

TEST(CgroupInterest, OfNothingIsTheRootAlone) {
  EXPECT_TRUE(interest_in({}).includes("/"));
  EXPECT_FALSE(interest_in({}).includes_children_of("/"));
  EXPECT_FALSE(interest_in({"/"}).includes_children_of("/"));
}

}  // namespace
}  // namespace namewall::agent
