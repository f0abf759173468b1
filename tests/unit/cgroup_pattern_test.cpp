#include "policy/cgroup_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace namewall {
namespace {

using ::testing::HasSubstr;

CgroupPattern pattern(const std::string& text) {
  const Result<CgroupPattern> parsed = CgroupPattern::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : CgroupPattern();
}

std::string error_of(const std::string& text) {
  const Result<CgroupPattern> parsed = CgroupPattern::parse(text);
  return parsed ? "none" : parsed.error().what;
}

TEST(CgroupPattern, IsExactWithoutAStar) {
  const CgroupPattern exact = pattern("/ci.slice/build.service");
  EXPECT_TRUE(exact.is_exact());
  EXPECT_FALSE(exact.is_template());
  EXPECT_EQ(exact.depth(), 2u);
  EXPECT_EQ(exact.fixed_part(), "/ci.slice/build.service");
  EXPECT_TRUE(exact.matches("/ci.slice/build.service"));
  EXPECT_FALSE(exact.matches("/ci.slice/build.services"));
  EXPECT_FALSE(exact.matches("/ci.slice"));
  EXPECT_FALSE(exact.matches("/ci.slice/build.service/x"));
}

TEST(CgroupPattern, TakesTheRootForAnExactPath) {
  const CgroupPattern root = pattern("/");
  EXPECT_TRUE(root.is_exact());
  EXPECT_EQ(root.depth(), 0u);
  EXPECT_EQ(root.fixed_part(), "/");
  EXPECT_TRUE(root.matches("/"));
  EXPECT_FALSE(root.matches("/a"));
}

TEST(CgroupPattern, MatchesWithinOneComponentOnly) {
  const CgroupPattern glob = pattern("/user.slice/user-*.slice/*");
  EXPECT_TRUE(glob.matches("/user.slice/user-1000.slice/session-3.scope"));
  EXPECT_TRUE(glob.matches("/user.slice/user-.slice/x"));
  EXPECT_FALSE(glob.matches("/user.slice/user-1000.slice"));
  EXPECT_FALSE(glob.matches("/user.slice/user-1000.slice/a/b"));
  EXPECT_FALSE(glob.matches("/user.slice/user-1/0.slice/a"));
  EXPECT_TRUE(pattern("/*").matches("/a"));
  EXPECT_FALSE(pattern("/*").matches("/"));
  EXPECT_TRUE(pattern("/a*b*c").matches("/a-b-b-c"));
  EXPECT_FALSE(pattern("/a*b*c").matches("/a-c-b"));
}

TEST(CgroupPattern, MatchesAStarInAPathByAStarOnly) {
  EXPECT_TRUE(pattern("/a/*").matches("/a/*"));
  EXPECT_FALSE(pattern("/a/x*").matches("/a/*"));
}

TEST(CgroupPattern, IsATemplateIfItsOnlyStarIsTheLastComponent) {
  EXPECT_TRUE(pattern("/*").is_template());
  EXPECT_TRUE(pattern("/ci.slice/*").is_template());
  EXPECT_FALSE(pattern("/ci.slice/job-*").is_template());
  EXPECT_FALSE(pattern("/*/*").is_template());
  EXPECT_FALSE(pattern("/ci*/*").is_template());
  EXPECT_FALSE(pattern("/ci.slice/**").is_template());
  EXPECT_FALSE(pattern("/ci.slice/*/x").is_template());
}

TEST(CgroupPattern, HasTheWholeComponentsBeforeItsFirstStarAsFixedPart) {
  EXPECT_EQ(pattern("/*").fixed_part(), "/");
  EXPECT_EQ(pattern("/ci*/x").fixed_part(), "/");
  EXPECT_EQ(pattern("/ci.slice/*/job").fixed_part(), "/ci.slice");
  EXPECT_EQ(pattern("/a/b/c*").fixed_part(), "/a/b");
}

TEST(CgroupPattern, LeadsThroughWhatIsAboveAMatch) {
  const CgroupPattern glob = pattern("/user.slice/user-*.slice/*");
  for (const char* path : {"/", "/user.slice", "/user.slice/user-7.slice", "/user.slice/user-7.slice/x"}) {
    EXPECT_TRUE(glob.leads_through(path)) << path;
  }
  for (const char* path : {"/system.slice", "/user.slice/x", "/user.slice/user-7.slice/x/y"}) {
    EXPECT_FALSE(glob.leads_through(path)) << path;
  }
}

TEST(CgroupPattern, SaysWhatIsWrongInASentence) {
  EXPECT_EQ(error_of("ci.slice"),
            "`ci.slice` does not begin with `/`; accepted: a path or glob below the cgroup mount, as in "
            "\"/ci.slice/*\"");
  EXPECT_THAT(error_of(""), HasSubstr("does not begin with `/`"));
  for (const char* text : {"//", "/a//b", "/a/"}) EXPECT_THAT(error_of(text), HasSubstr("an empty component")) << text;
  EXPECT_THAT(error_of("/a/../b"), HasSubstr("has the component `..`"));
  EXPECT_THAT(error_of("/./b"), HasSubstr("has the component `.`"));
  EXPECT_THAT(error_of("/a\nb"), HasSubstr("`/a\\x0ab` has a control character"));
  EXPECT_THAT(error_of("/" + std::string(256, 'a')), HasSubstr("more than 255 bytes"));
  std::string long_path;
  while (long_path.size() <= 4096) long_path += "/" + std::string(200, 'a');
  EXPECT_THAT(error_of(long_path), HasSubstr("more than 4096 bytes"));
}

bool can_meet(const std::string& a, const std::string& b) {
  const bool there = CgroupPattern::can_meet(pattern(a), pattern(b));
  EXPECT_EQ(there, CgroupPattern::can_meet(pattern(b), pattern(a))) << a << " " << b;
  return there;
}

TEST(CgroupPattern, MeetsAnotherWhereAPathMatchesBoth) {
  EXPECT_TRUE(can_meet("/a", "/a"));
  EXPECT_FALSE(can_meet("/a", "/b"));
  EXPECT_TRUE(can_meet("/a/*", "/a/b"));
  EXPECT_TRUE(can_meet("/*/b", "/a/*"));
  EXPECT_FALSE(can_meet("/*/b", "/a/*/c"));
  EXPECT_TRUE(can_meet("/x*", "/*y"));
  EXPECT_FALSE(can_meet("/x*", "/y*"));
  EXPECT_TRUE(can_meet("/a*b*c",
                       "/*b"
                       "*c"));
  EXPECT_FALSE(can_meet("/a*b", "/*c"));
  EXPECT_TRUE(can_meet("/aa*", "/*a"));
  EXPECT_FALSE(can_meet("/", "/*"));
}

// Every component of up to four characters of {a, b, *}, against every string of up to seven of {a, b}: with at most
// three literals on either side, a common match needs no more than six characters.
TEST(CgroupPattern, DecidesAMeetingAsTryingEveryPathDoes) {
  std::vector<std::string> globs, paths;
  const std::function<void(const std::string&, const std::string&, std::size_t, std::vector<std::string>&)> grow =
      [&](const std::string& text, const std::string& alphabet, std::size_t most, std::vector<std::string>& out) {
        if (text.size() > 1) out.push_back(text);
        if (text.size() > most) return;
        for (const char c : alphabet) grow(text + c, alphabet, most, out);
      };
  grow("/", "ab*", 4, globs);
  grow("/", "ab", 7, paths);
  std::size_t meetings = 0;
  std::vector<std::pair<CgroupPattern, std::vector<bool>>> matches;
  for (const std::string& glob : globs) {
    std::vector<bool> row;
    for (const std::string& path : paths) row.push_back(pattern(glob).matches(path));
    matches.emplace_back(pattern(glob), std::move(row));
  }
  for (const auto& [a, a_row] : matches) {
    for (const auto& [b, b_row] : matches) {
      bool both = false;
      for (std::size_t i = 0; i < paths.size() && !both; ++i) both = a_row[i] && b_row[i];
      ASSERT_EQ(CgroupPattern::can_meet(a, b), both) << a.text() << " " << b.text();
      meetings += both;
    }
  }
  EXPECT_GT(meetings, globs.size());
  EXPECT_LT(meetings, globs.size() * globs.size());
}

TEST(CgroupPattern, DecidesAMeetingOfTwoLongGlobsQuickly) {
  std::string a = "/", b = "/";
  for (int i = 0; i < 125; ++i) a += "a*", b += "*b";
  EXPECT_TRUE(can_meet(a, b));
  EXPECT_FALSE(can_meet(a + "c", b + "d"));
}

TEST(CgroupPath, KnowsWhatIsAboveAndBelow) {
  EXPECT_EQ(parent_cgroup("/a/b"), "/a");
  EXPECT_EQ(parent_cgroup("/a"), "/");
  EXPECT_EQ(parent_cgroup("/"), "/");
  EXPECT_TRUE(is_below_cgroup("/a/b", "/a"));
  EXPECT_TRUE(is_below_cgroup("/a", "/"));
  EXPECT_FALSE(is_below_cgroup("/", "/"));
  EXPECT_FALSE(is_below_cgroup("/a", "/a"));
  EXPECT_FALSE(is_below_cgroup("/ab", "/a"));
}

}  // namespace
}  // namespace namewall
