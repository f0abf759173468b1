// Requests and their answers, over a real unix socket.
#include "agent/control/control_server.h"

#include <gmock/gmock.h>

#include "tests/unit/agent/control/served_control.h"

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ControlServerTest : public ServedControl {
 protected:
  void SetUp() override { start(); }
};

TEST_F(ControlServerTest, AnswersEveryReadWithItsView) {
  EXPECT_EQ(get("/v1/status").json()["version"], "9.9");
  EXPECT_EQ(get("/v1/workloads").json().size(), 2u);
  EXPECT_EQ(get("/v1/workloads/builder").json()["workload"]["name"], "builder");
  EXPECT_EQ(get("/v1/workloads/builder/grants").json()[0]["name"], "name of builder");
  EXPECT_EQ(get("/v1/self").json()["confined"], false);
  const HttpAnswer metrics = get("/v1/metrics");
  EXPECT_EQ(metrics.body, "namewall_up 1\n");
  EXPECT_THAT(metrics.header, HasSubstr("text/plain; version=0.0.4"));
}

TEST_F(ControlServerTest, TellsTheSetsOfEveryWorkloadThatIsStillThere) {
  host_.grants_of_sets = 1500;  // more than one piece
  const HttpAnswer all = get("/v1/sets");
  EXPECT_THAT(all.header, HasSubstr("application/x-ndjson"));
  std::vector<std::string> workloads;
  std::size_t grants = 0;
  for (std::size_t begin = 0; begin < all.body.size();) {
    const std::size_t end = all.body.find('\n', begin);
    const auto line = parse_sets_line(all.body.substr(begin, end - begin));
    ASSERT_TRUE(line) << all.body.substr(begin, end - begin);
    if (begin == 0) {
      EXPECT_THAT(std::get<SetsHost>(*line).changed, ElementsAre("a rule of chain output is gone"));
    }
    if (const auto* workload = std::get_if<SetsWorkload>(&*line)) workloads.push_back(workload->workload);
    grants += std::holds_alternative<SetsGrant>(*line) ? 1 : 0;
    begin = end + 1;
  }
  EXPECT_THAT(workloads, ElementsAre("one", "two"));
  EXPECT_EQ(grants, 3000u);
  EXPECT_THAT(get("/v1/workloads/builder/sets").body, HasSubstr("\"workload\":\"builder\""));
  EXPECT_EQ(get("/v1/workloads/absent/sets").status, 404);
  EXPECT_EQ(ask("POST", "/v1/sets/repair").json()["unknown"], 3);
  EXPECT_THAT(host_.calls(), ElementsAre("repair  by 0"));
}

TEST_F(ControlServerTest, AnswersAChangeWhenTheHostHasMadeIt) {
  const HttpAnswer answer = send("PUT", "/v1/workloads/ci", R"({"cgroup": "/ci", "policy": "builder", "ttl": "30m"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json()["generation"], 7);
  EXPECT_EQ(host_.put_request.ttl_s, 1800);
  EXPECT_EQ(send("PATCH", "/v1/workloads/ci", R"({"add_allow": ["a.example"]})").status, 200);
  EXPECT_THAT(host_.rule_change.add_allow, ElementsAre("a.example"));
  EXPECT_EQ(send("DELETE", "/v1/workloads/ci", R"({"reason": "done"})").status, 200);
  EXPECT_EQ(host_.reason, "done");
  EXPECT_EQ(ask("DELETE", "/v1/workloads/ci").status, 200);
  EXPECT_EQ(ask("POST", "/v1/reload").json()["ok"], true);
  EXPECT_EQ(ask("POST", "/v1/workloads/ci/test").json()["passed"], true);
  EXPECT_EQ(send("POST", "/v1/explain", R"({"workload": "ci", "target": "x:1"})").json()["target"], "x:1");
  EXPECT_EQ(send("POST", "/v1/teardown", R"({"reason": "bye"})").status, 200);
  EXPECT_THAT(host_.calls(), ElementsAre("put ci by 0", "patch ci by 0", "remove ci by 0", "remove ci by 0",
                                         "reload  by 0", "teardown  by 0"));
}

TEST_F(ControlServerTest, LetsAnybodyRestrictItselfAndTellsWhatStandsAgainstIt) {
  const std::string body = R"({"allow": ["a.example"], "child": 12})";
  EXPECT_EQ(send("POST", "/v1/restrict", body).json()["workload"], "restrict:1-1");
  EXPECT_EQ(host_.restrict_request.child, 12u);
  EXPECT_EQ(send("POST", "/v1/restrict", "{}").status, 400);
  for (const auto& [obstacle, code] :
       {std::pair(RestrictObstacle::kDelegated, "delegated"), std::pair(RestrictObstacle::kThreaded, "threaded"),
        std::pair(RestrictObstacle::kFrozen, "frozen")}) {
    host_.obstacle = obstacle;
    const HttpAnswer answer = send("POST", "/v1/restrict", body);
    EXPECT_EQ(answer.status, 409);
    EXPECT_EQ(answer.error_code(), code);
    EXPECT_EQ(answer.json()["error"]["exit_code"], 7);
  }
}

TEST_F(ControlServerTest, TellsEveryKindOfFailureByStatusCodeAndExitCode) {
  struct Case {
    ErrorKind kind;
    int status;
    std::string code;
    int exit_code;
  };
  for (const Case& one :
       {Case{ErrorKind::kInvalid, 422, "policy_invalid", 1}, Case{ErrorKind::kNotFound, 404, "not_found", 6},
        Case{ErrorKind::kPermission, 403, "not_permitted", 5}, Case{ErrorKind::kConflict, 409, "conflict", 7},
        Case{ErrorKind::kLimit, 429, "limit", 8}, Case{ErrorKind::kUnsupported, 501, "unsupported", 9},
        Case{ErrorKind::kSystem, 500, "system", 125}}) {
    host_.change_result = fail(one.kind, "what was wrong");
    const HttpAnswer answer = send("PUT", "/v1/workloads/ci", R"({"cgroup": "/ci", "policy": "builder"})");
    EXPECT_EQ(answer.status, one.status);
    EXPECT_EQ(answer.error_code(), one.code);
    EXPECT_EQ(answer.json()["error"]["sentence"], "what was wrong");
    EXPECT_EQ(answer.json()["error"]["exit_code"], one.exit_code);
  }
}

TEST_F(ControlServerTest, KeepsAnEncodedSlashInsideTheNameOfAWorkload) {
  EXPECT_EQ(get("/v1/workloads/ci%2Fjob:1").json()["workload"]["name"], "ci/job:1");
  EXPECT_EQ(get("/v1/workloads/ci%2Fgrants").json()["workload"]["name"], "ci/grants");
  EXPECT_EQ(get("/v1/workloads/ci/job").error_code(), "unknown_path");
}

TEST_F(ControlServerTest, RefusesPathsThatAreNoNames) {
  for (const std::string target : {"/v1/workloads/..%2f..%2fetc", "/v1/workloads/.", "/v1/workloads/a%00b",
                                   "/v1/workloads/%zz", "/v1/workloads/a%2", "/v1/workloads/a%20b", "/v1/workloads/"}) {
    EXPECT_EQ(get(target).status, 400) << target;
  }
  EXPECT_EQ(get("/v1/workloads/" + std::string(129, 'a')).status, 400);
  EXPECT_EQ(get("/v1/workloads/" + std::string(128, 'a')).status, 200);
  EXPECT_EQ(get("/v1/workloads/../status").status, 404);
  EXPECT_EQ(get("/").status, 404);
  EXPECT_EQ(get("/v2/status").error_code(), "unknown_path");
}

TEST_F(ControlServerTest, NamesTheMethodsOfAPathThatTakesOthers) {
  const HttpAnswer wrong = ask("POST", "/v1/status");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.error_code(), "wrong_method");
  EXPECT_THAT(wrong.header, HasSubstr("Allow: GET, HEAD, OPTIONS\r\n"));
  const HttpAnswer options = ask("OPTIONS", "/v1/workloads/x");
  EXPECT_EQ(options.status, 204);
  EXPECT_THAT(options.header, HasSubstr("Allow: GET, HEAD, PUT, PATCH, DELETE, OPTIONS\r\n"));
  EXPECT_EQ(ask("OPTIONS", "*").status, 204);
  EXPECT_EQ(ask("BREW", "/v1/status").status, 405);
}

TEST_F(ControlServerTest, AnswersHeadLikeGetWithoutABody) {
  RawClient client(path_);
  ASSERT_TRUE(client.send(http_request("HEAD", "/v1/status") + http_request("GET", "/v1/self")));
  const auto head = client.read_answer(false);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_THAT(head->header, HasSubstr("application/json"));
  const auto next = client.read_answer();
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->json().contains("confined"));
}

TEST_F(ControlServerTest, AnswersPipelinedRequestsInTheirOrder) {
  RawClient client(path_);
  const std::string body = R"({"add_deny": ["a.example"]})";
  ASSERT_TRUE(client.send(http_request("GET", "/v1/workloads/one") + http_request("PATCH", "/v1/workloads/two", &body) +
                          http_request("GET", "/v1/workloads") + http_request("GET", "/v1/workloads/four")));
  EXPECT_EQ(client.read_answer()->json()["workload"]["name"], "one");
  EXPECT_EQ(client.read_answer()->json()["workload"], "two");
  EXPECT_EQ(client.read_answer()->json().size(), 2u);
  EXPECT_EQ(client.read_answer()->json()["workload"]["name"], "four");
}

TEST_F(ControlServerTest, TakesABodyInChunks) {
  RawClient client(path_);
  ASSERT_TRUE(client.send("PATCH /v1/workloads/ci HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
  ASSERT_TRUE(client.send("10\r\n{\"add_allow\": [\"\r\n"));
  ASSERT_TRUE(client.send("c\r\nb.example\"]}\r\n0\r\n\r\n"));
  const auto answer = client.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200) << answer->body;
  EXPECT_THAT(host_.rule_change.add_allow, ElementsAre("b.example"));
}

TEST_F(ControlServerTest, PointsAtWhatIsWrongInABody) {
  const auto sentence_of = [&](const std::string& body) {
    const HttpAnswer answer = send("PUT", "/v1/workloads/ci", body);
    EXPECT_EQ(answer.status, 400) << body;
    return answer.json()["error"]["sentence"].get<std::string>();
  };
  EXPECT_THAT(sentence_of(R"({"cgruop": "/ci", "policy": "b"})"), HasSubstr("did you mean `cgroup`?"));
  EXPECT_THAT(sentence_of("{\n  \"cgroup\": /ci"), HasSubstr("request:2:13: error: not valid JSON"));
  EXPECT_THAT(sentence_of(std::string(100'000, '[')), HasSubstr("nested more than 32 deep"));
  EXPECT_THAT(sentence_of(R"({"cgroup": "/ci"})"), HasSubstr("exactly one of `policy`"));
  EXPECT_THAT(sentence_of(""), HasSubstr("exactly one of `policy`"));
  EXPECT_THAT(host_.calls(), ElementsAre());
}

TEST_F(ControlServerTest, SuggestsTheQueryKeyThatWasMeant) {
  const HttpAnswer answer = get("/v1/events?folow=1");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("did you mean `follow`?"));
  EXPECT_EQ(get("/v1/events?follow=yes").status, 400);
  EXPECT_EQ(get("/v1/events?since=soon").status, 400);
  EXPECT_EQ(get("/v1/events?follow=0&follow=0").status, 400);
  EXPECT_EQ(get("/v1/status?verbose").status, 400);
}

TEST_F(ControlServerTest, SendsAListOfTenThousandWorkloadsWhole) {
  host_.listed = 10'000;
  const HttpAnswer answer = get("/v1/workloads");
  const nlohmann::json list = answer.json();
  ASSERT_EQ(list.size(), 10'000u);
  EXPECT_EQ(list[9'999]["name"], "job-9999");
}

TEST_F(ControlServerTest, TellsNamesOfAnyBytesAsAscii) {
  host_.add_events(1, "ci", "bad\xff\xc3\x28\x1b[31m");
  const HttpAnswer answer = get("/v1/events");
  EXPECT_THAT(answer.body, HasSubstr("\\ufffd"));
  EXPECT_THAT(answer.body, HasSubstr("\\u001b[31m"));
  EXPECT_THAT(answer.body, Not(HasSubstr("\xff")));
}

TEST_F(ControlServerTest, RepeatsTheRecentPastThatWasAskedFor) {
  host_.add_events(1'000, "ci");
  host_.add_events(3, "web");
  EXPECT_EQ(std::ranges::count(get("/v1/events").body, '\n'), 1'003);
  EXPECT_EQ(std::ranges::count(get("/v1/events?since=1001").body, '\n'), 2);
  EXPECT_EQ(std::ranges::count(get("/v1/events?workload=web").body, '\n'), 3);
  EXPECT_EQ(std::ranges::count(get("/v1/events?workload=w%65b&reason=none").body, '\n'), 0);
  // Numbers of an earlier daemon: this one's are all later.
  EXPECT_EQ(std::ranges::count(get("/v1/events?since=99999").body, '\n'), 1'003);
}

}  // namespace
}  // namespace namewall::agent
