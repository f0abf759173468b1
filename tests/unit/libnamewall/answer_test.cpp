extern "C" {
#include "libnamewall/answer.h"
}

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/unit/libnamewall/fake_control_socket.h"

namespace namewall::libnamewall_tests {
namespace {

std::string body_of(const std::vector<const char*>& allow, const char* label = nullptr, pid_t child = 0) {
  namewall_request request = NAMEWALL_REQUEST_INIT;
  request.allow = allow.data();
  request.allow_count = allow.size();
  request.label = label;
  char* const body = namewall_request_body(&request, child);
  const std::string text = body == nullptr ? "none" : body;
  std::free(body);
  return text;
}

struct ReadAnswer {
  int result;
  namewall_outcome outcome;
};

ReadAnswer read_body(int status, std::string body) {
  ReadAnswer read{0, NAMEWALL_OUTCOME_INIT};
  namewall_answer answer{};
  answer.status = status;
  answer.body = body.data();
  answer.body_size = body.size();
  read.result = namewall_read_answer(&answer, &read.outcome);
  return read;
}

std::string error_body(const std::string& code) {
  return R"({"error":{"code":")" + code + R"(","sentence":"no","exit_code":5}})";
}

TEST(NamewallAnswer, RequestsAreWhatTheDaemonTakes) {
  EXPECT_EQ(body_of({}), R"({"allow":[],"cooperative":false})");
  EXPECT_EQ(body_of({"https://a.example", "*://10.0.0.0/8:*"}, "plugin \"7\"", 4711),
            R"({"allow":["https://a.example","*://10.0.0.0/8:*"],"cooperative":false,"child":4711,)"
            R"("label":"plugin \"7\""})");
}

TEST(NamewallAnswer, NoRequestIsMadeOfWhatIsNoUtf8OrTooLong) {
  EXPECT_EQ(body_of({"https://\xff.example"}), "none");
  EXPECT_EQ(body_of({}, "\xc3"), "none");
  const std::string long_one(NAMEWALL_MAX_BODY, 'a');
  EXPECT_EQ(body_of({long_one.c_str()}), "none");
}

TEST(NamewallAnswer, ASuccessTellsTheWorkloadAndWhatHasNoEffect) {
  const auto [result, outcome] = read_body(200, std::string(kNarrowed));
  EXPECT_EQ(result, NAMEWALL_OK);
  EXPECT_STREQ(outcome.workload, "web:restrict-1");
  EXPECT_STREQ(outcome.state, "enforcing");
  EXPECT_EQ(outcome.cgroup_id, 4711u);
  EXPECT_EQ(outcome.depth, 2u);
  EXPECT_EQ(outcome.without_effect_count, 1u);
  EXPECT_STREQ(outcome.without_effect, "https://b.example: the parent does not allow it");
  EXPECT_EQ(outcome.flags, 0u);
}

TEST(NamewallAnswer, ASuccessThatSaysLessIsNone) {
  for (const char* body :
       {"", "{}", "[]", "null", "{", R"({"workload":"w"})", R"({"workload":"","cgroup_id":1})",
        R"({"workload":"w","cgroup_id":0})", R"({"workload":"w","cgroup_id":-1})", R"({"workload":7,"cgroup_id":1})",
        R"({"workload":"w","cgroup_id":1,"why":"x"})", R"({"workload":"w","cgroup_id":1,"without_effect":[1]})",
        R"({"workload":"w","cgroup_id":1,"workload":"v"})", "{\"workload\":\"\\u0000\"}"}) {
    EXPECT_EQ(read_body(200, body).result, NAMEWALL_BAD_ANSWER) << body;
  }
  EXPECT_EQ(read_body(200, std::string(100'000, '[')).result, NAMEWALL_BAD_ANSWER);
}

TEST(NamewallAnswer, RefusalsHaveTheirOwnNumbers) {
  EXPECT_EQ(read_body(409, error_body("delegated")).result, NAMEWALL_DELEGATED);
  EXPECT_EQ(read_body(409, error_body("threaded")).result, NAMEWALL_THREADED);
  EXPECT_EQ(read_body(409, error_body("frozen")).result, NAMEWALL_FROZEN);
  EXPECT_EQ(read_body(507, error_body("limit")).result, NAMEWALL_LIMIT);
  EXPECT_EQ(read_body(404, error_body("unknown_path")).result, NAMEWALL_UNSUPPORTED);
  EXPECT_EQ(read_body(404, error_body("not_found")).result, NAMEWALL_NO_PROCESS);
  EXPECT_EQ(read_body(503, error_body("too_many_connections")).result, NAMEWALL_LIMIT);
  EXPECT_EQ(read_body(403, error_body("permission")).result, NAMEWALL_NOT_PERMITTED);
  EXPECT_EQ(read_body(422, error_body("policy_invalid")).result, NAMEWALL_BAD_REQUEST);
  EXPECT_EQ(read_body(409, error_body("conflict")).result, NAMEWALL_REFUSED);
  const ReadAnswer read = read_body(500, error_body("system"));
  EXPECT_EQ(read.result, NAMEWALL_REFUSED);
  EXPECT_STREQ(read.outcome.code, "system");
  EXPECT_STREQ(read.outcome.sentence, "no");
}

TEST(NamewallAnswer, ARefusalWithoutAReasonSaysSo) {
  for (const char* body : {"", "{}", "[]", R"({"error":"x"})", R"({"error":{"code":7}})"}) {
    const ReadAnswer read = read_body(500, body);
    EXPECT_EQ(read.result, NAMEWALL_REFUSED) << body;
    EXPECT_STREQ(read.outcome.sentence, "the daemon answers 500 without a reason") << body;
  }
}

TEST(NamewallAnswer, TextsAreCutBetweenCharactersAndThatIsSaid) {
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  char field[8];
  namewall_set_text(&outcome, field, sizeof field, "1234567");
  EXPECT_STREQ(field, "1234567");
  EXPECT_EQ(outcome.flags, 0u);
  namewall_set_text(&outcome, field, sizeof field, "12345\xe2\x82\xac");  // a sign of three bytes
  EXPECT_STREQ(field, "12345");
  EXPECT_EQ(outcome.flags, static_cast<unsigned>(NAMEWALL_TRUNCATED));
  namewall_set_text(&outcome, field, sizeof field,
                    "1234\xe2\x82\xac"
                    "5");
  EXPECT_STREQ(field, "1234\xe2\x82\xac");
}

TEST(NamewallAnswer, ControlCharactersReachNobody) {
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  char field[16];
  namewall_set_text(&outcome, field, sizeof field, "a\x1b[2Jb\nc\x7f");
  EXPECT_STREQ(field, "a?[2Jb?c?");
}

}  // namespace
}  // namespace namewall::libnamewall_tests
