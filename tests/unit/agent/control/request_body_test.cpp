#include "agent/control/request_body.h"

#include <gmock/gmock.h>

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string error_of(const std::string& body) {
  const auto request = read_workload_request(body);
  return request ? "none" : request.error().message();
}

TEST(RequestBodyTest, ReadsAllThatAWorkloadMaySay) {
  const auto request = read_workload_request(
      R"({"cgroup_id": 4711, "policy_text": "allow = []", "labels": {"job": "17"}, "ttl": 90, "allow_partial": true,
          "reason": "test"})");
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->cgroup_id, 4711u);
  EXPECT_EQ(request->policy_text, "allow = []");
  EXPECT_THAT(request->labels, ElementsAre(Pair("job", "17")));
  EXPECT_EQ(request->ttl_s, 90);
  EXPECT_TRUE(request->allow_partial);
  EXPECT_EQ(request->reason, "test");
}

TEST(RequestBodyTest, LeavesOutWhatIsNotSaid) {
  const auto request = read_workload_request(R"({"cgroup": "/ci", "policy": "b"})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->ttl_s, -1);
  EXPECT_FALSE(request->allow_partial);
}

TEST(RequestBodyTest, HandsOnAPolicyObjectAsText) {
  const auto request =
      read_workload_request(R"({"cgroup": "/ci", "policy_json": {"allow": ["a.example"], "dns": {}}})");
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->policy_text, R"({"allow":["a.example"],"dns":{}})");
}

TEST(RequestBodyTest, RefusesKeysWrittenTwiceAtAnyDepth) {
  EXPECT_THAT(error_of(R"({"cgroup": "/a", "cgroup": "/b", "policy": "x"})"), HasSubstr("`cgroup` is written twice"));
  EXPECT_THAT(error_of(R"({"cgroup": "/a", "policy_json": {"dns": [{"allow": [], "allow": ["x"]}]}})"),
              HasSubstr("\"allow\" is written twice"));
  EXPECT_THAT(error_of(R"({"cgroup": "/a", "policy": "x", "labels": {"a": "1", "a": "2"}})"),
              HasSubstr("label \"a\" is written twice"));
}

TEST(RequestBodyTest, RefusesValuesOfTheWrongKind) {
  EXPECT_THAT(error_of(R"({"cgroup": "/a", "policy": 1})"), HasSubstr("`policy` is an integer (1)"));
  EXPECT_THAT(error_of(R"({"cgroup_id": 0, "policy": "x"})"), HasSubstr("`cgroup_id`"));
  EXPECT_THAT(error_of(R"({"cgroup": "/a", "policy": "x", "allow_partial": "yes"})"), HasSubstr("true or false"));
  for (const std::string ttl : {"0", "-1", "\"\"", "\"soon\"", "\"0s\"", "1.5", "true", "99999999999"}) {
    EXPECT_THAT(error_of(R"({"cgroup": "/a", "policy": "x", "ttl": )" + ttl + "}"), HasSubstr("`ttl` is")) << ttl;
  }
  EXPECT_THAT(error_of("[]"), HasSubstr("a table"));
}

TEST(RequestBodyTest, WantsOneCgroupAndOnePolicy) {
  EXPECT_THAT(error_of(R"({"cgroup": "/a", "cgroup_id": 3, "policy": "x"})"), HasSubstr("exactly one of `cgroup`"));
  EXPECT_THAT(error_of(R"({"policy": "x"})"), HasSubstr("exactly one of `cgroup`"));
  EXPECT_THAT(error_of(R"({"cgroup": "/a", "policy": "x", "policy_text": "y"})"), HasSubstr("exactly one of `policy`"));
}

TEST(RequestBodyTest, ReadsARestriction) {
  const auto request =
      read_restrict_request(R"({"allow": ["a.example"], "child": 7, "cooperative": true, "label": "plugin-7"})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->allow, std::vector<std::string>{"a.example"});
  EXPECT_EQ(request->child, 7u);
  EXPECT_TRUE(request->cooperative);
  EXPECT_EQ(request->label, "plugin-7");
  EXPECT_TRUE(read_restrict_request(R"({"allow": []})")->allow.empty());
}

TEST(RequestBodyTest, RefusesARestrictionThatMightMeanSomethingElse) {
  const std::string entry = "\"a.example\",";
  std::string many;
  for (int i = 0; i < 1000; ++i) many += entry;
  for (const std::string& body :
       {std::string("{}"), std::string(""), std::string(R"({"allow": "a.example"})"),
        std::string(R"({"allow": [], "child": 0})"), std::string(R"({"allow": [], "child": -1})"),
        std::string(R"({"allow": [], "child": 4294967297})"), std::string(R"({"allow": [], "deny": []})"),
        std::string(R"({"allow": [], "cooperative": 1})"), R"({"allow": [], "label": ")" + std::string(65, 'x') + "\"}",
        "{\"allow\": [" + many + "\"a.example\"]}"}) {
    EXPECT_FALSE(read_restrict_request(body)) << body.substr(0, 100);
  }
}

TEST(RequestBodyTest, WantsAReasonToLiftEnforcementAndARuleToChange) {
  EXPECT_FALSE(read_teardown_request(R"({"workload": "ci"})"));
  EXPECT_FALSE(read_teardown_request(""));
  EXPECT_FALSE(read_rule_change(R"({"reason": "x"})"));
  EXPECT_FALSE(read_nothing(R"({"force": true})"));
  EXPECT_TRUE(read_nothing("{}"));
}

}  // namespace
}  // namespace namewall::agent
