#include "agent/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/host_loader.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Explains one target under a policy, as `namewall explain` does.
struct Question {
  std::string policy;  // TOML without the name
  std::string target;
  std::string host = {};  // of host.toml
  std::optional<std::string> answers = {};
  std::vector<Address> own_addresses = {};
};

Explanation explain(const Question& question) {
  const auto policy = load_policy("name = \"a\"\n" + question.policy, Format::kToml, "p.toml");
  const auto host = load_host_policy(question.host, Format::kToml, "host.toml");
  for (const Diagnostic& diagnostic : policy.diagnostics) ADD_FAILURE() << diagnostic.to_string();
  for (const Diagnostic& diagnostic : host.diagnostics) ADD_FAILURE() << diagnostic.to_string();
  const auto image =
      compile_policy(policy.value, host.value, parse_resolv_conf("nameserver 192.0.2.53\nsearch corp\n"));
  const auto target = parse_explain_target(question.target);
  if (!image || !target) {
    ADD_FAILURE() << (image ? target.error().what : image.error().what);
    return {};
  }
  std::vector<AnswerRecord> records;
  if (question.answers) records = parse_answer_text(*question.answers, "answers").records;
  return explain({policy.value, host.value, *image, question.own_addresses, question.answers ? &records : nullptr},
                 *target);
}

std::string refused_at(const Explanation& explanation) {
  for (const ExplanationStep& step : explanation.steps) {
    if (step.outcome == ExplanationStep::Outcome::kRefused) return step.stage + ": " + step.detail;
  }
  return "";
}

TEST(Explanation, NamesTheHostsBlockOrLimitThatDecides) {
  const std::string host =
      "block_networks = [ \"private\" ]\n[limits]\nudp = \"deny\"\nloopback_low_ports = \"deny\"\nlisten = \"deny\"\n";
  const std::string policy =
      "allow = [ \"*://10.0.0.1:*\", \"*://a.example:443\", \"udp://b.example:1\", \"*://9.9.9.9:*\", "
      "\"*://127.0.0.1:*\" ]";
  const auto refused = [&](const char* target) {
    const Explanation explanation = explain({policy, target, host});
    EXPECT_FALSE(explanation.allowed) << target;
    EXPECT_EQ(explanation.permit, std::nullopt) << target;
    return refused_at(explanation);
  };
  EXPECT_THAT(refused("10.0.0.1:443"), HasSubstr("host deny: "));
  EXPECT_THAT(refused("10.0.0.1:443"), HasSubstr(": `block_networks: private` (host.toml:1:20)"));
  EXPECT_THAT(refused("udp://9.9.9.9:5"), HasSubstr("denied by the host at 9.9.9.9: `limits.udp` (host.toml:3:7)"));
  EXPECT_EQ(refused("udp://a.example:443"), "host deny: `limits.udp` (host.toml:3:7) has udp/*");
  EXPECT_EQ(refused("udp://b.example:1"), "host deny: `limits.udp` (host.toml:3:7) has udp/*");
  EXPECT_THAT(refused("127.0.0.1:80"), HasSubstr("`limits.loopback_low_ports` (host.toml:4:22)"));
  EXPECT_EQ(refused("127.0.0.1:8080"),
            "host deny: loopback is closed but to sockets of the workload itself: `block_networks: private` "
            "(host.toml:1:20)");
  EXPECT_TRUE(explain({policy, "a.example", host}).allowed);
  EXPECT_TRUE(explain({policy, "9.9.9.9:5", host}).allowed);
  EXPECT_THAT(to_text(explain({"loopback = \"own\"", "127.0.0.1:8080", "[limits]\nlisten = \"deny\"\n"})),
              HasSubstr("`limits.listen` (host.toml:2:10)"));
  // A name that no rule allows is not refused by a limit that speaks of every name.
  EXPECT_EQ(refused_at(explain({policy, "udp://c.example:1", host})), "allow rules: no rule names it");
}

TEST(Explanation, OfAnAllowedNameNamesTheRule) {
  const Explanation explanation = explain({"allow = [ \"a.example\" ]", "a.example"});
  EXPECT_TRUE(explanation.allowed);
  EXPECT_EQ(explanation.permit, std::nullopt);
  EXPECT_EQ(to_text(explanation),
            " host deny     no rule names it\n"
            " deny rules    no rule names it\n"
            " allow rules   `a.example` (p.toml:2:11) has tcp/443\n"
            " question      may be asked\n"
            " answer        grants tcp/443 for public addresses, nothing for private ones, for its TTL and 1m30s  "
            "<- allowed here\n");
}

TEST(Explanation, OfAnUnlistedNamePrintsTheRuleThatPermitsIt) {
  const Explanation explanation = explain({"allow = [ \"a.example\" ]", "b.example:22"});
  EXPECT_FALSE(explanation.allowed);
  EXPECT_EQ(explanation.reason, NW_REASON_NAME_NOT_ALLOWED);
  EXPECT_EQ(refused_at(explanation), "allow rules: no rule names it");
  EXPECT_EQ(explanation.permit, "tcp://b.example:22");
}

TEST(Explanation, OfADeniedNameHasNoPermit) {
  const Question question{"allow = [ \"**.a.example\" ]\ndeny = [ \"x.a.example\" ]", "x.a.example"};
  EXPECT_EQ(refused_at(explain(question)), "deny rules: `x.a.example` (p.toml:3:10) has tcp+udp/* icmp");
  EXPECT_EQ(explain(question).permit, std::nullopt);

  const Explanation by_host = explain({"allow = [ \"a.example\" ]", "a.example", "deny = [ \"a.example\" ]"});
  EXPECT_EQ(refused_at(by_host), "host deny: `a.example` (host.toml:1:10) has tcp+udp/* icmp");
  EXPECT_EQ(by_host.permit, std::nullopt);

  const Explanation one_port =
      explain({"allow = [ \"tcp://a.example:80,443\" ]\ndeny = [ \"a.example:80\" ]", "a.example:80"});
  EXPECT_FALSE(one_port.allowed);
  EXPECT_EQ(one_port.permit, std::nullopt);
}

TEST(Explanation, OfAnotherPortSaysWhichPortsTheNameHas) {
  const Explanation explanation = explain({"allow = [ \"a.example\" ]", "a.example:22"});
  EXPECT_EQ(explanation.reason, NW_REASON_PORT);
  EXPECT_EQ(explanation.permit, "tcp://a.example:22");
  EXPECT_THAT(refused_at(explanation), HasSubstr("answer: grants tcp/443 for public addresses"));
}

TEST(Explanation, KnowsSearchListForms) {
  const Explanation explanation = explain({"allow = [ \"a.example\" ]", "a.example.corp"});
  EXPECT_FALSE(explanation.allowed);
  EXPECT_THAT(to_text(explanation), HasSubstr(" question      may be asked, as a form of the search list\n"));
  EXPECT_EQ(explanation.permit, "https://a.example.corp");
}

TEST(Explanation, JudgesTheAnswersThatWereGiven) {
  const Explanation explanation =
      explain({"allow = [ \"a.example\" ]", "a.example", "",
               "a.example 300 CNAME cdn.example\ncdn.example 60 A 192.0.2.7\nb.example 60 A 192.0.2.8\n"});
  EXPECT_TRUE(explanation.allowed);
  const std::string text = to_text(explanation);
  EXPECT_THAT(text, HasSubstr(" answer A      192.0.2.7 is granted tcp/443 for 2m30s\n"));
  EXPECT_THAT(text,
              HasSubstr(" answer A      192.0.2.8 belongs to b.example, to which no alias leads from a.example: it "
                        "teaches nothing\n"));
  EXPECT_THAT(text, HasSubstr(" answer AAAA   no address\n"));
  EXPECT_THAT(text, HasSubstr(" address       192.0.2.7\n"));
  EXPECT_THAT(text, Not(HasSubstr(" address       192.0.2.8\n")));
  EXPECT_THAT(text, HasSubstr("  <- allowed here\n"));
}

TEST(Explanation, OfAPrivateAnswerPrintsBothWaysToPermitIt) {
  const Question question{"allow = [ \"nexus.corp.example\" ]", "nexus.corp.example", "",
                          "nexus.corp.example A 10.1.2.3"};
  const Explanation explanation = explain(question);
  EXPECT_FALSE(explanation.allowed);
  EXPECT_EQ(explanation.reason, NW_REASON_PRIVATE_ANSWER);
  EXPECT_THAT(to_text(explanation), HasSubstr(" permit        \"https://nexus.corp.example?private\"   or host.toml: "
                                              "private_names = [\"nexus.corp.example\"]\n"));
  // Both do.
  EXPECT_TRUE(explain({"allow = [ \"" + *explanation.permit + "\" ]", question.target, "", question.answers}).allowed);
  EXPECT_TRUE(explain({question.policy, question.target, "private_names = [\"nexus.corp.example\"]", question.answers})
                  .allowed);
}

TEST(Explanation, PermitsThatItPrintsAllowTheTarget) {
  for (const char* target : {"b.example", "b.example:22", "udp://b.example:53", "192.0.2.9", "icmp://192.0.2.9",
                             "udp://[2001:db8::9]:443", "a.example:8443"}) {
    const Explanation refused = explain({"allow = [ \"a.example\" ]", target});
    ASSERT_FALSE(refused.allowed) << target;
    ASSERT_TRUE(refused.permit) << target;
    EXPECT_TRUE(explain({"allow = [ \"" + *refused.permit + "\" ]", target}).allowed) << *refused.permit;
  }
}

TEST(Explanation, OfTheHostsOwnAddressWantsAnAddressRule) {
  const Explanation explanation = explain({"allow = [ \"https://a.example?private\" ]",
                                           "a.example",
                                           "",
                                           "a.example A 10.1.2.3",
                                           {*parse_address("10.1.2.3")}});
  EXPECT_FALSE(explanation.allowed);
  EXPECT_EQ(explanation.reason, NW_REASON_SPECIAL_ANSWER);
  EXPECT_EQ(explanation.permit, "https://10.1.2.3");
}

TEST(Explanation, OfAnAddressNamesTheMostSpecificRule) {
  const std::string policy =
      "allow = [ \"*://10.0.0.0/8:*\", \"10.20.0.0/16:443\" ]\ndeny = [ \"*://10.20.9.0/24:*\" ]";
  EXPECT_THAT(to_text(explain({policy, "10.20.1.1"})),
              HasSubstr("`10.20.0.0/16:443` (p.toml:2:31)  <- allowed here\n"));
  EXPECT_THAT(to_text(explain({policy, "10.20.1.1:80"})),
              HasSubstr("`*://10.0.0.0/8:*` (p.toml:2:11)  <- allowed here\n"));
  const Explanation denied = explain({policy, "10.20.9.1"});
  EXPECT_THAT(to_text(denied), HasSubstr("`*://10.20.9.0/24:*` (p.toml:3:10)  <- refused here\n"));
  EXPECT_EQ(denied.permit, std::nullopt);
}

TEST(Explanation, OfAnAddressUsesTheAnswersToo) {
  const std::string answers = "a.example A 192.0.2.7\nb.example A 192.0.2.8\n";
  EXPECT_TRUE(explain({"allow = [ \"a.example\" ]", "192.0.2.7", "", answers}).allowed);
  const Explanation unasked = explain({"allow = [ \"a.example\" ]", "192.0.2.8", "", answers});
  EXPECT_FALSE(unasked.allowed);
  EXPECT_THAT(to_text(unasked), HasSubstr(" question      b.example is not asked: no rule names it\n"));
  EXPECT_EQ(explain({"allow = [ \"a.example\" ]", "192.0.2.7:22", "", answers}).permit, "tcp://a.example:22");
}

TEST(Explanation, InAuditModePassesAndSaysWhatWouldBeRefused) {
  const Explanation explanation = explain({"mode = \"audit\"\nallow = [ \"a.example\" ]", "b.example"});
  EXPECT_TRUE(explanation.allowed);
  EXPECT_EQ(explanation.permit, "https://b.example");
  EXPECT_THAT(to_text(explanation), HasSubstr("  <- refused here; audit mode lets it pass\n"));
}

TEST(Explanation, OfLoopbackSaysWhatOwnMeans) {
  const Explanation own = explain({"", "127.0.0.1:5432"});
  EXPECT_FALSE(own.allowed);
  EXPECT_EQ(own.permit, std::nullopt);
  EXPECT_THAT(to_text(own), HasSubstr("a socket of the workload itself would be reached"));
  EXPECT_THAT(to_text(explain({"loopback = \"none\"", "127.0.0.1:5432"})), Not(HasSubstr("would be reached")));
  EXPECT_TRUE(explain({"loopback = \"any\"", "127.0.0.1:5432"}).allowed);
}

TEST(Explanation, IsTheSameAsJson) {
  const Explanation explanation = explain({"allow = [ \"a.example\" ]", "b.example"});
  const auto json = nlohmann::json::parse(to_json(explanation, *parse_explain_target("b.example")));
  EXPECT_EQ(json["target"], "tcp b.example:443");
  EXPECT_EQ(json["allowed"], false);
  EXPECT_EQ(json["reason"], "name_not_allowed");
  EXPECT_EQ(json["permit"], "https://b.example");
  EXPECT_EQ(json["walk"].size(), explanation.steps.size());
  EXPECT_EQ(json["walk"][2]["stage"], "allow rules");
  EXPECT_EQ(json["walk"][2]["outcome"], "refused");
}

}  // namespace
}  // namespace namewall::agent
