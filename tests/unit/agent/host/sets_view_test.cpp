#include "agent/host/sets_view.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

SetsWorkload workload() {
  return {"builder:job-1",
          "/ci/\xc3\xa9",
          4711,
          "nft",
          "enforce",
          123456789,
          {"https://a.example"},
          {{"tcp/443"}, {"wide tcp/1000-2000", "icmp"}},
          false};
}

TEST(SetsLines, OfAWorkloadReadBackAsItIs) {
  const auto line = parse_sets_line(to_line(workload()));
  ASSERT_TRUE(line);
  EXPECT_EQ(std::get<SetsWorkload>(*line), workload());
}

TEST(SetsLines, OfTheHostReadBackAsItIs) {
  const SetsHost host{{"a \"rule\" is gone"}};
  const auto line = parse_sets_line(to_line(host));
  ASSERT_TRUE(line);
  EXPECT_EQ(std::get<SetsHost>(*line), host);
}

TEST(SetsLines, OfAGrantReadBackAsItIs) {
  for (const SetsGrant& grant :
       {SetsGrant{"registry.npmjs.org", *parse_address("104.16.0.35"), 1, 2, 3600, 12, 7, 38},
        SetsGrant{"a.example", *parse_address("2001:db8::1"), 0, -1, kUnknownTime, kUnknownTime, kUnknownTime, -1}}) {
    std::string text;
    append_line(grant, text);
    const auto line = parse_sets_line(text);
    ASSERT_TRUE(line) << text;
    EXPECT_EQ(std::get<SetsGrant>(*line), grant) << text;
  }
}

TEST(SetsLines, ThatAreCutOrSaySomethingElseAreNone) {
  std::string whole;
  append_line({"a.example", *parse_address("192.0.2.1"), 0, 0, 1, 2, 3, 4}, whole);
  whole.pop_back();
  ASSERT_TRUE(parse_sets_line(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_sets_line(whole.substr(0, size))) << size;
  for (const char* text :
       {"", "{}", "[]", "null", R"(["a","192.0.2.256",0,0,1,2,3,4])", R"(["a","192.0.2.1",0,0,1,2,3,4]x)",
        R"(["a","192.0.2.1",-1,0,1,2,3,4])", R"({"workload":1})"}) {
    EXPECT_FALSE(parse_sets_line(text)) << text;
  }
}

}  // namespace
}  // namespace namewall::agent
