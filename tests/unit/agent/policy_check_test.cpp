#include "agent/policy_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Checker {
 public:
  PolicyCheck check(const std::string& file, const std::string& toml, bool kernel_can_learn = true) {
    return check_policy(file, load_policy(toml, Format::kToml, file), {}, parse_resolv_conf("nameserver 192.0.2.53"),
                        names_, kernel_can_learn);
  }

 private:
  std::map<std::string, Origin> names_;
};

TEST(PolicyCheck, SaysWhatAKernelThatCannotReadDnsMakesOfAPolicy) {
  const auto check = [](const std::string& dns, bool kernel_can_learn) {
    return Checker().check("a.toml", "name = \"a\"\nallow = [ \"a.example\" ]\n[dns]\n" + dns, kernel_can_learn);
  };
  ASSERT_TRUE(check("", false).ok());
  EXPECT_EQ(check("", false).dns_path, "proxy");
  EXPECT_THAT(check("", false).dns_reason, HasSubstr("bpf_loop"));
  for (const std::string dns : {"learn = \"kernel\"", "retain = \"until-next-answer\""}) {
    EXPECT_TRUE(check(dns, true).ok()) << dns;
    EXPECT_FALSE(check(dns, false).ok()) << dns;
  }
}

TEST(PolicyCheck, PrintsTheCanonicalFormUnderTheDnsPath) {
  const PolicyCheck check = Checker().check("a.toml", "name = \"a\"\nallow = [ \"a.example\" ]");
  ASSERT_TRUE(check.ok());
  EXPECT_THAT(to_text(check), StartsWith("# a.toml: ok, allow 1 rule, deny 0 rules\n"
                                         "# backend: bpf (nothing says otherwise)\n"
                                         "# dns: kernel (nothing in the policy needs the proxy)\n"
                                         "# dns over TCP, and what is truncated: proxy (always)\n"
                                         "# resolvers: 192.0.2.53:53\n"
                                         "name = \"a\"\n"));
  EXPECT_TRUE(load_policy(to_text(check), Format::kToml, "again").ok());
}

TEST(PolicyCheck, SaysWhenAPolicyNeedsNoDns) {
  EXPECT_THAT(to_text(Checker().check("a.toml", "name = \"a\"\nallow = [ \"192.0.2.1\" ]")),
              HasSubstr("# dns: kernel (no rule of `allow` has a name: every question is refused)\n"));
}

TEST(PolicyCheck, SaysWhyAPolicyGetsTheProxyAndWhomTheAgentLooksUp) {
  const std::string text = to_text(
      Checker().check("a.toml", "name = \"a\"\nallow = [ \"b.example?resolve=agent\" ]\n[dns]\nech = \"strip\"\n"));
  EXPECT_THAT(text,
              HasSubstr("# dns: proxy (`ech = \"strip\"` changes answers, and the kernel passes them on unchanged)\n"));
  EXPECT_THAT(text, HasSubstr("\n# looked up by the agent: b.example\n"));
  EXPECT_THAT(to_text(Checker().check("a.toml", "name = \"a\"\nallow = [ \"b.example\" ]\n[dns]\nlearn = \"proxy\"\n")),
              HasSubstr("# dns: proxy (the policy says so)\n"));
  const auto json = nlohmann::json::parse(
      to_json({Checker().check("a.toml", "name = \"a\"\nallow = [ \"b.example\" ]\n[dns]\nhints = \"strip\"\n")}, {}));
  EXPECT_EQ(json["files"][0]["dns"]["path"], "proxy");
  EXPECT_EQ(json["files"][0]["dns"]["tcp_and_truncated"], "proxy");
}

TEST(PolicyCheck, RefusesTheKernelPathBesideWhatItCannotDo) {
  const PolicyCheck check = Checker().check("a.toml", "name = \"a\"\n[dns]\nlearn = \"kernel\"\nech = \"strip\"\n");
  ASSERT_FALSE(check.ok());
  EXPECT_THAT(check.diagnostics.back().message,
              HasSubstr("a.toml:3:9: `learn = \"kernel\"` cannot be: `ech = \"strip\"` changes"));
}

TEST(PolicyCheck, SaysWhatEnforcesAndWhatItCannotDo) {
  const PolicyCheck check = Checker().check(
      "a.toml", "name = \"a\"\nbackend = \"nft\"\ncgroup = \"/ci.slice/*\"\nallow = [ \"b.example\" ]\n");
  EXPECT_THAT(to_text(check), HasSubstr("# backend: nft (the policy says so)\n#   a refused connection begins and is "
                                        "reset (ECONNREFUSED)"));
  EXPECT_THAT(to_text(check), HasSubstr("\n#   cgroups that appear below a template are refused everything"));
  EXPECT_THAT(to_text(check), HasSubstr("\n# dns: proxy (nftables cannot read DNS answers)\n"));
  const auto json = nlohmann::json::parse(to_json({check}, {}));
  EXPECT_EQ(json["files"][0]["backend"]["name"], "nft");
  EXPECT_EQ(json["files"][0]["backend"]["cannot"].size(), check.limits.size());
}

TEST(PolicyCheck, PrintsNothingOfAPolicyWithErrors) {
  const PolicyCheck check = Checker().check("a.toml", "nmae = \"a\"");
  EXPECT_FALSE(check.ok());
  EXPECT_EQ(to_text(check), "");
}

TEST(PolicyCheck, RefusesANameThatAnEarlierFileHas) {
  Checker checker;
  EXPECT_TRUE(checker.check("a.toml", "name = \"x\"").ok());
  const PolicyCheck second = checker.check("b.toml", "name = \"x\"");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.diagnostics.back().to_string(), "b.toml:1:1: error: `name` is \"x\", as in a.toml");
}

TEST(PolicyCheck, RefusesWhatCannotBeCompiled) {
  std::string allow;
  for (int i = 0; i < 50; ++i) allow += "\"a" + std::to_string(i) + ".example:" + std::to_string(1000 + 2 * i) + "\",";
  const PolicyCheck check = Checker().check("a.toml", "name = \"a\"\nallow = [" + allow + "]");
  ASSERT_FALSE(check.ok());
  EXPECT_TRUE(has_error(check.diagnostics));
}

TEST(PolicyCheck, RefusesPatternsThatTwoFilesShareInBoth) {
  Checker checker;
  std::vector<PolicyCheck> checks = {checker.check("a.toml", "name = \"a\"\ncgroup = \"/x/*\""),
                                     checker.check("b.toml", "name = \"b\"\ncgroup = \"/x/b*\""),
                                     checker.check("c.toml", "name = \"c\"\ncgroup = \"/c\"")};
  check_cgroups_together(checks, std::nullopt);
  EXPECT_FALSE(checks[0].ok());
  ASSERT_FALSE(checks[1].ok());
  EXPECT_THAT(checks[1].diagnostics.back().to_string(),
              StartsWith("b.toml:1:1: error: `cgroup` `/x/*` in a.toml and `/x/b*` in b.toml can match"));
  EXPECT_TRUE(checks[2].ok());
}

TEST(PolicyCheck, SaysHowEachCgroupIsHeldAndWhomAGuardWouldHit) {
  std::vector<PolicyCheck> checks = {Checker().check(
      "a.toml", "name = \"a\"\ncgroup = [\"/x/job-*\", \"/ci/*\", \"/one\"]\nunarmed_children = \"refuse\"\n")};
  check_cgroups_together(checks,
                         std::vector<ExistingCgroup>{{"/x", 1}, {"/x/job-1", 2}, {"/x/other", 3}, {"/ci/b", 4}});
  EXPECT_THAT(to_text(checks[0]),
              HasSubstr("# cgroup /x/job-*: watched: a cgroup is held when the daemon has armed it, some milliseconds "
                        "after it appears\n"
                        "# cgroup /ci/*: template: each child is held from its first instruction\n"
                        "# cgroup /one: path: one cgroup with all that is below it\n"
                        "# guard: on this host 1 cgroup of others would get no sockets if made anew: /x/other\n"));
  const auto json = nlohmann::json::parse(to_json(checks, {}));
  EXPECT_EQ(json["files"][0]["cgroups"][1]["held"], "template");
  EXPECT_EQ(json["files"][0]["guard_would_hit"][0], "/x/other");
  check_cgroups_together(checks, std::nullopt);
  EXPECT_THAT(to_text(checks[0]), HasSubstr("# guard: whom it would hit is not known"));
}

TEST(PolicyCheck, IsTheSameAsJson) {
  Checker checker;
  const auto json = nlohmann::json::parse(
      to_json({checker.check("a.toml", "name = \"a\""), checker.check("b.toml", "name = 1")}, {}));
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["files"][0]["ok"], true);
  EXPECT_EQ(json["files"][0]["policy"]["name"], "a");
  EXPECT_EQ(json["files"][0]["dns"]["path"], "kernel");
  EXPECT_EQ(json["files"][0]["dns"]["resolvers"][0], "192.0.2.53:53");
  EXPECT_EQ(json["files"][1]["ok"], false);
  EXPECT_EQ(json["files"][1]["diagnostics"][0]["line"], 1);
  EXPECT_EQ(json["files"][1]["diagnostics"][0]["column"], 8);
}

TEST(PolicyCheck, AnExpectationThatFailsIsAnError) {
  const PolicyCheck check = Checker().check(
      "a.toml", "name = \"a\"\nallow = [ \"a.example\" ]\n[[expect]]\ntarget = \"b.example\"\nallowed = true\n");
  EXPECT_FALSE(check.ok());
  ASSERT_EQ(check.diagnostics.size(), 1u);
  EXPECT_THAT(check.diagnostics[0].to_string(), StartsWith("a.toml:4:10: error: expected `b.example` to be allowed"));
}

TEST(PolicyCheck, FilesCheckedTogetherAreComparedWithTheirParents) {
  Checker checker;
  std::vector<PolicyCheck> checks;
  checks.push_back(checker.check("base.toml", "name = \"base\"\ncgroup = \"/ci\"\nallow = [ \"a.example\" ]"));
  checks.push_back(checker.check("job.toml", "name = \"job\"\ncgroup = \"/ci/*\"\nallow = [ \"b.example\" ]"));
  check_overlaps(checks, {}, {});
  EXPECT_TRUE(checks[0].ok());
  EXPECT_FALSE(checks[1].ok());
  EXPECT_EQ(checks[1].diagnostics[0].to_string(),
            "job.toml:3:11: error: `b.example` cannot be satisfied: nothing in base.toml permits it");
}

TEST(PolicyCheck, StrictMakesWarningsErrors) {
  std::vector<PolicyCheck> checks;
  checks.push_back(Checker().check("a.toml", "name = \"a\"\nallow = [ \"db.internal\" ]"));
  check_overlaps(checks, {}, {});
  EXPECT_TRUE(checks[0].ok());
  ASSERT_EQ(checks[0].diagnostics.size(), 1u);
  make_strict(checks);
  EXPECT_FALSE(checks[0].ok());
  EXPECT_THAT(checks[0].diagnostics[0].to_string(), HasSubstr(": error: "));
}

TEST(PolicyCheck, ExpandsWhatGroupsBrought) {
  const std::vector<Group> groups = {
      {"npm", "3", {{*parse_endpoint("registry.example", EndpointUse::kAllow), {"npm.toml", 4, 3}, ""}}, {}}};
  const auto loaded = load_policy("name = \"a\"\nallow = [\"@npm\", \"b.example\"]\ndeny = [\"@npm\"]\n", Format::kToml,
                                  "a.toml", {}, {groups, {}, {}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(to_comment(expand_rules(loaded.value, groups)),
            "# @npm 3, allow:\n#   tcp://registry.example:443 (npm.toml:4:3)\n"
            "# @npm 3, deny:\n#   registry.example (npm.toml:4:3)\n");
}

}  // namespace
}  // namespace namewall::agent
